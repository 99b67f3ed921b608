/* What the page shows, in order. */
drawHeader();
if (DATA.graph) addView('graph', 'Graph', drawGraph, {shown: fitGraphOnce});
addView('layers', 'Layers', drawLayers);
addView('map', 'Where it goes', drawTreemap);
if (DATA.maps) addView('maps', 'Feature maps', drawMaps);
if (DATA.memory) addView('memory', 'Memory', drawMemory);
if (DATA.check) addView('check', 'Check', drawCheck, {badge: DATA.check.findings.length, severity: DATA.check.findings.some(found => found.severity === 'error') ? 'error' : ''});
if (DATA.training) addView('training', 'Training', drawTraining);
build();
show(VIEWS.some(view => `#${view.key}` === location.hash) ? location.hash.slice(1) : VIEWS[0].key);
