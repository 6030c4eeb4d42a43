const paint = printing => {
  const css = getComputedStyle(document.documentElement), of = name => css.getPropertyValue(name).trim();
  const [ink, soft, line, paper] = printing ? ["#1b1d21", "#5d636d", "#e2e4e8", "#fff"] : ["--ink", "--soft", "--line", "--paper"].map(of);
  const font = {family: getComputedStyle(document.body).fontFamily, size: 13, color: ink};
  const axis = {gridcolor: line, zerolinecolor: line, linecolor: line, tickfont: {color: ink}};
  for (const [name, figure] of Object.entries(figures)) {
    const layout = {...figure.layout, paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", font,
      modebar: {bgcolor: "rgba(0,0,0,0)", color: soft, activecolor: ink},
      shapes: (figure.layout.shapes || []).map(shape => ({...shape, line: {color: ink, ...shape.line}})),
      annotations: (figure.layout.annotations || []).map(text => ({...text, font: {...font, size: 12}})),
      hoverlabel: {bgcolor: paper, bordercolor: soft, font: {...font, color: ink}}};
    for (const key of Object.keys(layout).filter(key => /^[xy]axis/.test(key)))
      layout[key] = {...axis, ...layout[key], title: {font: {color: soft, size: 13}, ...layout[key].title}};
    Plotly.react("plot-" + name, figure.data, layout, {responsive: true, displaylogo: false,
      modeBarButtons: [["toImage", "zoom2d", "resetScale2d"]], toImageButtonOptions: {scale: 3, filename: "grokhop-" + name}});
  }
};
const learning = figures.learning, bar = document.getElementById("views");
const button = (label, pressed, act) => {
  const made = document.createElement("button");
  made.type = "button"; made.textContent = label; made.setAttribute("aria-pressed", pressed);
  made.onclick = () => act(made); bar.append(made);
  return made;
};
if (learning) {
  const buttons = learning.views.map((view, i) => button(view.label, i === 0, made => {
    buttons.forEach(other => other.setAttribute("aria-pressed", other === made));
    learning.data.forEach((trace, t) => { trace.x = view.data.x[t]; trace.y = view.data.y[t]; });
    Object.assign(learning.layout, {shapes: view.layout.shapes});
    learning.layout.xaxis.title = {text: view.layout["xaxis.title.text"]};
    paint();
  }));
  button("log", learning.layout.xaxis.type === "log", made => {
    const log = learning.layout.xaxis.type !== "log";
    learning.layout.xaxis = {...learning.layout.xaxis, type: log ? "log" : "linear"};
    made.setAttribute("aria-pressed", log);
    paint();
  });
}
paint();
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => paint());
addEventListener("beforeprint", () => paint(true));
addEventListener("afterprint", () => paint());
