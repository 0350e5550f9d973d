#pragma once
// The page that plays a recording; `replay_html` puts the recording where it says @RECORDING@.

#include <string_view>

#include "qatten/core/abi.hpp"

namespace qatten::inline QATTEN_ABI::skirmish {

inline constexpr std::string_view replay_player = R"html(<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>qatten skirmish</title>
<style>
:root { --back: #0d131d; --panel: #151e2b; --line: #263244; --text: #dbe4ef; --dim: #8b9bb0; --ally: #4fc3ff; --enemy: #ff6f61; }
* { box-sizing: border-box; }
body { margin: 0; background: var(--back); color: var(--text); font: 14px/1.4 system-ui, "Segoe UI", "DejaVu Sans", sans-serif; }
header { display: flex; flex-wrap: wrap; align-items: baseline; gap: 4px 16px; padding: 14px 20px 0; }
h1 { margin: 0; font-size: 20px; font-weight: 650; }
header .dim, .dim { color: var(--dim); }
.badge { padding: 1px 9px; border-radius: 10px; font-weight: 600; font-size: 12px; background: #3a4658; }
.badge.won { background: #1f6f4a; } .badge.lost { background: #8a2f2a; }
main { display: grid; grid-template-columns: minmax(380px, 1.25fr) minmax(340px, 1fr); gap: 16px; padding: 12px 20px 20px; align-items: start; }
@media (max-width: 900px) { main { grid-template-columns: 1fr; } }
section { background: var(--panel); border: 1px solid var(--line); border-radius: 10px; padding: 12px; margin-bottom: 14px; }
section h2 { margin: 0 0 6px; font-size: 13px; font-weight: 600; color: var(--dim); display: flex; justify-content: space-between; gap: 10px; flex-wrap: wrap; }
canvas { display: block; width: 100%; border-radius: 6px; }
.controls { display: flex; align-items: center; gap: 8px; margin-top: 10px; }
button { background: #22304a; color: var(--text); border: 1px solid #33435c; border-radius: 7px; padding: 5px 11px; font: inherit; cursor: pointer; }
button:hover { background: #2c3d5c; }
button.on { background: #2b6cb0; border-color: #4b8fd6; }
input[type=range] { flex: 1; min-width: 80px; accent-color: var(--ally); }
.time { font-variant-numeric: tabular-nums; min-width: 92px; text-align: right; }
.legend span { margin-left: 10px; white-space: nowrap; } .legend i { display: inline-block; width: 10px; height: 3px; margin-right: 4px; vertical-align: middle; }
.chips { display: flex; gap: 5px; flex-wrap: wrap; } .chips button { padding: 1px 8px; font-size: 12px; }
table { border-collapse: collapse; width: 100%; font-size: 12.5px; font-variant-numeric: tabular-nums; }
th { text-align: left; color: var(--dim); font-weight: 500; padding: 1px 6px 3px; } td { padding: 1.5px 6px; white-space: nowrap; }
td.n, th.n { text-align: right; } tr.dead td { opacity: .35; }
.bar { width: 74px; height: 7px; background: #0b1119; border-radius: 4px; overflow: hidden; } .bar div { height: 100%; } .bar .shield { height: 2px; background: #a8dcff; }
.scroll { max-height: 330px; overflow: auto; }
.maps { display: grid; grid-template-columns: repeat(auto-fill, minmax(140px, 1fr)); gap: 10px; } .maps figcaption { color: var(--dim); font-size: 12px; margin-bottom: 3px; } figure { margin: 0; }
footer { color: var(--dim); padding: 0 20px 16px; font-size: 12px; } kbd { border: 1px solid var(--line); border-radius: 4px; padding: 0 4px; }
</style>
</head>
<body>
<header><h1 id="map"></h1><span id="outcome" class="badge"></span><span id="title"></span><span id="facts" class="dim"></span></header>
<main>
<div>
  <section>
    <h2><span>battlefield</span><span class="chips" id="heads"></span></h2>
    <canvas id="field"></canvas>
    <div class="controls">
      <button id="play" title="space">&#9654;</button>
      <button id="back" title="left arrow">&#9664;&#9474;</button>
      <button id="next" title="right arrow">&#9474;&#9654;</button>
      <input id="scrub" type="range" min="0" step="0.01" value="0" aria-label="time">
      <span class="time" id="time"></span>
      <button id="speed" title="steps a second">4/s</button>
    </div>
  </section>
  <section><h2><span>agents</span></h2><div class="scroll"><table id="agents"></table></div></section>
  <div id="below"></div>
</div>
<div id="charts"></div>
</main>
<footer><kbd>space</kbd> play &nbsp; <kbd>&larr;</kbd> <kbd>&rarr;</kbd> one step &nbsp; <kbd>Home</kbd> <kbd>End</kbd> &nbsp; click a chart to go there. Simulated by qatten; not StarCraft.</footer>
<script id="recording" type="application/json">@RECORDING@</script>
<script>
'use strict';
const D = JSON.parse(document.getElementById('recording').textContent);
const $ = id => document.getElementById(id);
const last = D.frames.length - 1, steps = last, N = D.units.length, nAllies = D.nAllies;
const T = D.thoughts.length ? D.thoughts : null;
const has = key => T && T[0][key] && T[0][key].length > 0;
const heads = has('attention') ? T[0].attention.length : 0;
const palette = ['#4fc3ff', '#ffb454', '#7ee787', '#d2a8ff', '#ff7b9c', '#f2e05c', '#56d4c5', '#c9a27e'];
const headColor = h => palette[h % palette.length];
const agentColor = i => nAllies <= 8 ? palette[i % 8] : `hsl(${Math.round(360 * i / nAllies)} 70% 68%)`;
let time = 0, playing = false, speed = 4, head = -1, before = 0;

$('map').textContent = D.map;
$('title').textContent = D.title;
$('outcome').textContent = D.outcome; $('outcome').classList.add(D.outcome);
const total = D.rewards.reduce((a, b) => a + b, 0);
$('facts').textContent = `${steps} steps, return ${total.toFixed(2)}`;
document.title = `${D.map}: ${D.title}`;
$('scrub').max = last;

// ---- the field
const bounds = (() => {
  let x0 = 32, y0 = 32, x1 = 0, y1 = 0;
  const grow = (x, y) => { x0 = Math.min(x0, x); x1 = Math.max(x1, x); y0 = Math.min(y0, y); y1 = Math.max(y1, y); };
  D.frames.forEach(f => { for (let i = 0; i < N; ++i) grow(f.p[2 * i], f.p[2 * i + 1]); });
  x0 -= 2.5; y0 -= 2; x1 += 2.5; y1 += 2;
  const least = 14;
  if (x1 - x0 < least) { const m = (x0 + x1) / 2; x0 = m - least / 2; x1 = m + least / 2; }
  if (y1 - y0 < least * .55) { const m = (y0 + y1) / 2; y0 = m - least * .275; y1 = m + least * .275; }
  return { x0: Math.max(x0, -1), y0: Math.max(y0, -1), x1: Math.min(x1, 33), y1: Math.min(y1, 33) };
})();
const walk = (x, y) => x >= 0 && x < 32 && y >= 0 && y < 32 && (D.ground[y] >>> x) & 1;
const high = (x, y) => (D.high[y] >>> x) & 1;

function fit(canvas, ratio) {
  const dpr = window.devicePixelRatio || 1, w = canvas.clientWidth, h = Math.round(w * ratio);
  if (canvas.width !== Math.round(w * dpr) || canvas.height !== Math.round(h * dpr)) {
    canvas.width = Math.round(w * dpr); canvas.height = Math.round(h * dpr); canvas.style.height = h + 'px';
  }
  const c = canvas.getContext('2d'); c.setTransform(dpr, 0, 0, dpr, 0, 0);
  return { c, w, h };
}
const lerp = (a, b, f) => a + (b - a) * f;
const healthColor = p => `hsl(${Math.round(115 * p)} 65% 52%)`;

function unitAt(i, k, f) {
  const a = D.frames[k], b = D.frames[Math.min(k + 1, last)];
  return { x: lerp(a.p[2 * i], b.p[2 * i], f), y: lerp(a.p[2 * i + 1], b.p[2 * i + 1], f),
           h: lerp(a.h[i], b.h[i], f) / D.units[i][4], s: D.units[i][5] ? lerp(a.s[i], b.s[i], f) / D.units[i][5] : 0,
           alive: a.a[i] === '1', dying: a.a[i] === '1' && b.a[i] !== '1' };
}
const attentionOf = (k, i) => {
  const A = T[Math.min(k, T.length - 1)].attention;
  if (head >= 0) return A[head][i];
  return A.reduce((sum, row) => sum + row[i], 0) / heads;
};

function drawField() {
  const { c, w, h } = fit($('field'), (bounds.y1 - bounds.y0) / (bounds.x1 - bounds.x0));
  const z = w / (bounds.x1 - bounds.x0), X = x => (x - bounds.x0) * z, Y = y => h - (y - bounds.y0) * z;
  c.fillStyle = '#090d14'; c.fillRect(0, 0, w, h);
  for (let y = Math.floor(bounds.y0); y < bounds.y1; ++y) for (let x = Math.floor(bounds.x0); x < bounds.x1; ++x) {
    if (!walk(x, y)) continue;
    c.fillStyle = high(x, y) ? ((x + y) & 1 ? '#2c3a45' : '#2a3742') : ((x + y) & 1 ? '#18242f' : '#1a2733');
    c.fillRect(X(x), Y(y + 1), z + .6, z + .6);
  }
  const k = Math.min(Math.floor(time), last), f = time - k, U = [];
  for (let i = 0; i < N; ++i) U.push(unitAt(i, k, f));
  if (heads && k <= last) for (let i = 0; i < nAllies; ++i) {
    if (!U[i].alive) continue;
    const share = attentionOf(k, i), r = z * (D.units[i][3] + .25 + 1.5 * Math.sqrt(share));
    const g = c.createRadialGradient(X(U[i].x), Y(U[i].y), 0, X(U[i].x), Y(U[i].y), r);
    const color = head >= 0 ? headColor(head) : '#ffd479';
    g.addColorStop(0, color + 'b0'); g.addColorStop(1, color + '00');
    c.fillStyle = g; c.beginPath(); c.arc(X(U[i].x), Y(U[i].y), r, 0, 7); c.fill();
  }
  const shots = k < last ? D.frames[k + 1].shots : [];
  for (let q = 0; q < shots.length; q += 3) {
    const a = U[shots[q]], b = U[shots[q + 1]]; if (!a || !b) continue;
    c.globalAlpha = shots[q + 2] ? .75 : Math.max(0, Math.sin(Math.PI * Math.min(1, .15 + f * .9)));
    c.strokeStyle = shots[q + 2] ? '#7ee787' : shots[q] < nAllies ? '#9adfff' : '#ffb3a8';
    c.lineWidth = Math.max(1.2, z * .07);
    c.beginPath(); c.moveTo(X(a.x), Y(a.y)); c.lineTo(X(b.x), Y(b.y)); c.stroke();
    c.beginPath(); c.arc(X(b.x), Y(b.y), z * .16, 0, 7); c.fillStyle = c.strokeStyle; c.fill();
  }
  c.globalAlpha = 1;
  for (const alive of [false, true]) for (let i = 0; i < N; ++i) {
    const u = U[i], r = Math.max(5, D.units[i][3] * z), x = X(u.x), y = Y(u.y);
    if (u.alive !== alive) continue;
    if (!alive) {
      c.strokeStyle = D.units[i][2] ? '#2b5878' : '#6d3a38'; c.lineWidth = 1.6; const d = r * .45;
      c.beginPath(); c.moveTo(x - d, y - d); c.lineTo(x + d, y + d); c.moveTo(x + d, y - d); c.lineTo(x - d, y + d); c.stroke();
      continue;
    }
    c.globalAlpha = u.dying ? 1 - f : 1;
    c.beginPath(); c.arc(x, y, r * .8, 0, 7); c.fillStyle = D.units[i][2] ? '#14649b' : '#9b322c'; c.fill();
    c.lineWidth = Math.max(2, r * .2); c.strokeStyle = '#05080c'; c.beginPath(); c.arc(x, y, r * .9, 0, 7); c.stroke();
    c.strokeStyle = healthColor(u.h); c.beginPath(); c.arc(x, y, r * .9, -Math.PI / 2, -Math.PI / 2 + 2 * Math.PI * u.h); c.stroke();
    if (u.s > 0) { c.lineWidth = Math.max(1.5, r * .13); c.strokeStyle = '#a8dcff'; c.beginPath(); c.arc(x, y, r * 1.12, -Math.PI / 2, -Math.PI / 2 + 2 * Math.PI * u.s); c.stroke(); }
    c.fillStyle = '#fff'; c.font = `600 ${Math.max(8, r * .85)}px system-ui, sans-serif`; c.textAlign = 'center'; c.textBaseline = 'middle';
    c.fillText(D.units[i][2] ? String(i) : D.units[i][1], x, y + .5);
    c.globalAlpha = 1;
  }
}

// ---- agents
const actionName = (i, a) => {
  if (a < 6) return ['no-op', 'stop', 'north', 'south', 'east', 'west'][a];
  return D.units[i][0] === 'medivac' ? `heal ${a - 6}` : `attack ${D.units[nAllies + a - 6][1]}${a - 6}`;
};
function drawAgents() {
  const k = Math.min(Math.floor(time), last), s = Math.min(k, steps - 1), f = D.frames[k];
  const th = T ? T[s] : null;
  let html = '<tr><th>#</th><th>unit</th><th>health</th><th>action</th>' + (has('q') ? '<th class=n>Q<sub>i</sub></th>' : '') +
    (heads ? `<th>attention, head 1 … ${heads}</th>` : '') + '</tr>';
  for (let i = 0; i < nAllies; ++i) {
    const p = f.h[i] / D.units[i][4], sh = D.units[i][5] ? f.s[i] / D.units[i][5] : 0;
    html += `<tr class="${f.a[i] === '1' ? '' : 'dead'}"><td style="color:${agentColor(i)}">${i}</td><td>${D.units[i][0]}</td>` +
      `<td><div class=bar><div style="width:${100 * p}%;background:${healthColor(p)}"></div></div>` +
      (D.units[i][5] ? `<div class=bar style="height:3px;margin-top:1px"><div class=shield style="width:${100 * sh}%"></div></div>` : '') + '</td>' +
      `<td>${k < last ? actionName(i, D.actions[s][i]) : ''}</td>` + (has('q') ? `<td class=n>${th.q[i].toFixed(2)}</td>` : '') +
      (heads ? '<td>' + th.attention.map((row, j) => `<span title="head ${j + 1}: ${(100 * row[i]).toFixed(1)} %" style="display:inline-block;width:34px;text-align:right;padding-right:3px;margin-right:2px;border-radius:3px;background:${headColor(j)}${Math.round(18 + 200 * row[i]).toString(16).padStart(2, '0')}">${Math.round(100 * row[i])}</span>`).join('') + '</td>' : '') + '</tr>';
  }
  $('agents').innerHTML = html;
}

// ---- charts
const charts = [];
function section(title, legend, parent = 'charts') {
  const s = document.createElement('section');
  s.innerHTML = `<h2><span>${title}</span><span class=legend>${legend.map(([n, c]) => `<span><i style="background:${c}"></i>${n}</span>`).join('')}</span></h2>`;
  $(parent).appendChild(s); return s;
}
function seek(canvas, left, right) {
  const go = e => { const r = canvas.getBoundingClientRect(); time = Math.max(0, Math.min(last, (e.clientX - r.left - left) / (r.width - left - right) * last)); draw(); };
  canvas.addEventListener('pointerdown', e => { go(e); canvas.setPointerCapture(e.pointerId); canvas.onpointermove = go; });
  canvas.addEventListener('pointerup', () => { canvas.onpointermove = null; });
}
function lineChart(title, series, { from, to, legend = true, height = .27 } = {}) {
  const s = section(title, legend ? series.map(x => [x.name, x.color]) : []), canvas = document.createElement('canvas');
  s.appendChild(canvas); seek(canvas, 40, 8);
  const all = series.flatMap(x => x.values).filter(Number.isFinite);
  let lo = from ?? Math.min(...all), hi = to ?? Math.max(...all);
  if (hi - lo < 1e-9) { hi += .5; lo -= .5; } else if (from === undefined) { const m = (hi - lo) * .06; lo -= m; hi += m; }
  charts.push(() => {
    const { c, w, h } = fit(canvas, height), X = t => 40 + t / Math.max(last, 1) * (w - 48), Y = v => 6 + (hi - v) / (hi - lo) * (h - 22);
    c.clearRect(0, 0, w, h); c.font = '11px system-ui, sans-serif'; c.textBaseline = 'middle';
    for (let g = 0; g <= 2; ++g) {
      const v = lerp(lo, hi, g / 2); c.strokeStyle = '#263244'; c.lineWidth = 1; c.beginPath(); c.moveTo(40, Y(v)); c.lineTo(w - 8, Y(v)); c.stroke();
      c.fillStyle = '#8b9bb0'; c.textAlign = 'right'; c.fillText(Math.abs(hi - lo) < 3 ? v.toFixed(2) : v.toFixed(hi - lo < 30 ? 1 : 0), 35, Y(v));
    }
    c.textAlign = 'center'; for (const t of [0, Math.round(last / 2), last]) c.fillText(t, Math.min(X(t), w - 12), h - 6);
    for (const x of series) {
      c.strokeStyle = x.color; c.lineWidth = 1.7; c.beginPath();
      x.values.forEach((v, t) => { const at = x.offset ? t + x.offset : t; t ? c.lineTo(X(at), Y(v)) : c.moveTo(X(at), Y(v)); }); c.stroke();
    }
    c.strokeStyle = '#ffffff90'; c.lineWidth = 1; c.beginPath(); c.moveTo(X(time), 4); c.lineTo(X(time), h - 14); c.stroke();
  });
}
const strength = side => D.frames.map(f => {
  let now = 0, most = 0;
  for (let i = 0; i < N; ++i) if (D.units[i][2] === side) { now += f.h[i] + f.s[i]; most += D.units[i][4] + D.units[i][5]; }
  return 100 * now / most;
});
lineChart('health and shields, % of the start', [{ name: 'allies', color: '#4fc3ff', values: strength(true) }, { name: 'enemies', color: '#ff6f61', values: strength(false) }], { from: 0, to: 100 });
let sum = 0;
lineChart('return so far', [{ name: 'sum of rewards', color: '#7ee787', values: [0, ...D.rewards.map(r => sum += r)] }], { legend: false, height: .2 });
if (has('q_tot') || has('c')) {
  const series = [];
  if (has('q_tot')) series.push({ name: 'Q_tot', color: '#f2e05c', values: T.map(x => x.q_tot[0]) });
  if (has('c')) series.push({ name: 'c(s)', color: '#8b9bb0', values: T.map(x => x.c[0]) });
  lineChart('joint value', series);
}
if (has('q')) lineChart('values of the chosen actions, Q_i', [...Array(nAllies).keys()].map(i => ({ name: i, color: agentColor(i), values: T.map(x => x.q[i]) })), { legend: nAllies <= 10 });
if (has('head_weights')) lineChart('head weights', T[0].head_weights.map((_, h) => ({ name: `head ${h + 1}`, color: headColor(h), values: T.map(x => x.head_weights[h]) })));
if (heads) {
  const s = section('attention over time, agents from top to bottom', [], 'below'), grid = document.createElement('div'); grid.className = 'maps'; s.appendChild(grid);
  const most = Math.max(...T.flatMap(x => x.attention.flat()));
  for (let h = 0; h < heads; ++h) {
    const fig = document.createElement('figure'); fig.innerHTML = `<figcaption><i style="display:inline-block;width:10px;height:3px;margin-right:5px;vertical-align:middle;background:${headColor(h)}"></i>head ${h + 1}</figcaption>`;
    const canvas = document.createElement('canvas'); fig.appendChild(canvas); grid.appendChild(fig); seek(canvas, 0, 0);
    charts.push(() => {
      const { c, w, h: height } = fit(canvas, .5), cw = w / last, ch = height / nAllies;
      c.fillStyle = '#0b1119'; c.fillRect(0, 0, w, height); c.fillStyle = headColor(h);
      T.forEach((x, t) => { for (let i = 0; i < nAllies; ++i) { c.globalAlpha = x.attention[h][i] / most; c.fillRect(t * cw, i * ch, cw + .5, ch - (nAllies < 16 ? 1 : 0)); } });
      c.globalAlpha = 1; c.strokeStyle = '#ffffffb0'; c.beginPath(); c.moveTo(time * cw, 0); c.lineTo(time * cw, height); c.stroke();
    });
  }
  const chips = [['mean', -1], ...[...Array(heads).keys()].map(h => [`head ${h + 1}`, h])];
  $('heads').innerHTML = '<span class=dim style="font-weight:400">attention:</span>';
  for (const [name, h] of chips) {
    const b = document.createElement('button'); b.textContent = name; b.onclick = () => { head = h; [...$('heads').querySelectorAll('button')].forEach(x => x.classList.toggle('on', x === b)); draw(); };
    if (h === head) b.classList.add('on'); $('heads').appendChild(b);
  }
}

// ---- time
function draw() {
  drawField(); drawAgents(); charts.forEach(f => f());
  $('scrub').value = time; $('time').textContent = `step ${Math.floor(time)} / ${last}`;
}
function play(on) { playing = on; before = 0; $('play').innerHTML = on ? '&#10073;&#10073;' : '&#9654;'; if (on) { if (time >= last) time = 0; requestAnimationFrame(tick); } }
function tick(now) {
  if (!playing) return;
  if (before) time = Math.min(last, time + (now - before) / 1000 * speed);
  before = now; draw();
  if (time >= last) play(false); else requestAnimationFrame(tick);
}
function go(t) { play(false); time = Math.max(0, Math.min(last, t)); draw(); }
$('play').onclick = () => play(!playing);
$('back').onclick = () => go(Math.ceil(time) - 1);
$('next').onclick = () => go(Math.floor(time) + 1);
$('scrub').oninput = e => { play(false); time = Number(e.target.value); draw(); };
$('speed').onclick = () => { speed = { 1: 2, 2: 4, 4: 8, 8: 16, 16: 1 }[speed]; $('speed').textContent = speed + '/s'; };
addEventListener('keydown', e => {
  const act = { ' ': () => play(!playing), ArrowLeft: () => go(Math.ceil(time) - 1), ArrowRight: () => go(Math.floor(time) + 1), Home: () => go(0), End: () => go(last) }[e.key];
  if (act) { e.preventDefault(); act(); }
});
addEventListener('resize', draw);
const at = /^#step=([\d.]+)(?:&head=(\d+))?$/.exec(location.hash);
if (at) { time = Math.min(last, Number(at[1])); if (at[2]) $('heads').querySelectorAll('button')[Number(at[2])]?.click(); }
draw();
</script>
</body>
</html>
)html";

}  // namespace qatten::inline QATTEN_ABI::skirmish
