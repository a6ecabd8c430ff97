"use strict";
for (const place of document.querySelectorAll(".plot")) {
  const spec = JSON.parse(document.getElementById(place.id + "-data").textContent);
  Plotly.newPlot(place, spec.data, spec.layout, { responsive: true, displayModeBar: false });
}
