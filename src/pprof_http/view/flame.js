// The flame graph: a canvas as large as what is seen of it, root on top, the widest child first.
const ROW = 20;
const THEMES = {
  light: {own: ['#9cc1f4', '#f5bd86', '#97d3b4', '#eea9b4', '#c3b3f0', '#dfcf78', '#8fd0dc', '#dfb0d8'],
    library: ['#dde2e9', '#e6e3db', '#d8e2e0', '#e5dfe6'], special: '#efefef', root: '#cfd6df', text: '#1b1f24', faint: '#4d5661',
    match: '#ffd54a', matchText: '#1b1f24', edge: '#ffffff', focus: '#1d4ed8'},
  dark: {own: ['#2f5b97', '#86541f', '#2a6b4c', '#85404c', '#584a94', '#6a5d1d', '#23646f', '#743f6b'],
    library: ['#333b46', '#3c3a33', '#2f3c3b', '#3b343e'], special: '#26292e', root: '#3a4350', text: '#f1f4f7', faint: '#c3cad3',
    match: '#e3b429', matchText: '#15181c', edge: '#14171b', focus: '#8fb4ff'},
};
const dark = matchMedia('(prefers-color-scheme: dark)');

class FlameGraph {
  // on: {select(node), zoom(node)}
  constructor({tree, packages, label, matches, rows, on}) {
    Object.assign(this, {tree, packages, matches: matches || null, on: on || {}});
    this.zoomed = 0;
    this.left = 0;  // what is seen, in nanoseconds
    this.width = tree.total[0];
    this.selected = NONE;
    this.hovered = NONE;
    this.boxes = new Map();  // x and width of what was drawn, by node
    this.names = new Map();
    this.tip = h('div', {class: 'tip', 'aria-hidden': 'true', hidden: true});
    this.canvas = h('canvas', {tabindex: '0', role: 'application', 'aria-label': label, 'aria-roledescription': 'flame graph',
      'aria-describedby': 'flame-keys'});
    this.spacer = h('div', {class: 'spacer', style: {height: `${(tree.maxDepth + 1) * ROW + 2}px`}}, this.canvas);
    this.scroller = h('div', {class: 'flame', style: {maxHeight: `${Math.min(tree.maxDepth + 1, rows || 34) * ROW + 2}px`}}, this.spacer);
    this.element = h('div', {class: 'flame-box'}, this.scroller, this.tip);
    this.context = this.canvas.getContext('2d', {alpha: false});
    this.listen();
    this.observer = new ResizeObserver(() => this.resize());
    this.observer.observe(this.scroller);
    this.redraw = () => this.schedule();
    dark.addEventListener('change', this.redraw);
  }

  dispose() {
    this.observer.disconnect();
    dark.removeEventListener('change', this.redraw);
  }

  listen() {
    const canvas = this.canvas;
    this.scroller.addEventListener('scroll', () => this.schedule());
    canvas.addEventListener('pointermove', (event) => this.move(event));
    canvas.addEventListener('pointerleave', () => this.hover(NONE));
    canvas.addEventListener('pointerdown', (event) => {
      this.drag = {x: event.clientX, y: event.clientY, left: this.left, top: this.scroller.scrollTop, moved: false};
      canvas.setPointerCapture(event.pointerId);
    });
    canvas.addEventListener('pointerup', (event) => {
      const drag = this.drag;
      this.drag = null;
      if (drag && !drag.moved) this.click(this.at(event));
    });
    canvas.addEventListener('wheel', (event) => {
      if (!event.ctrlKey && !event.metaKey && Math.abs(event.deltaX) <= Math.abs(event.deltaY)) return;
      event.preventDefault();
      if (event.ctrlKey || event.metaKey) this.scale(Math.exp(event.deltaY * 0.002), event.offsetX);
      else this.pan(this.left + (event.deltaX * this.width) / this.pixels);
    }, {passive: false});
    canvas.addEventListener('keydown', (event) => this.key(event));
  }

  resize() {
    const ratio = devicePixelRatio || 1;
    this.pixels = this.scroller.clientWidth;
    this.height = this.scroller.clientHeight;
    if (this.pixels === 0) return;
    this.canvas.width = Math.round(this.pixels * ratio);
    this.canvas.height = Math.round(this.height * ratio);
    this.canvas.style.width = `${this.pixels}px`;
    this.canvas.style.height = `${this.height}px`;
    this.context.setTransform(ratio, 0, 0, ratio, 0, 0);
    this.context.font = `12px ${getComputedStyle(document.documentElement).getPropertyValue('--mono')}`;
    this.context.textBaseline = 'middle';
    this.letter = this.context.measureText('MMMMMMMMMM').width / 10;
    this.draw();
  }

  schedule() {
    if (this.pending) return;
    this.pending = requestAnimationFrame(() => { this.pending = 0; if (this.element.isConnected) this.draw(); });
  }

  color(node, theme) {
    if (node === 0) return theme.root;
    const place = this.packages.ofFunction[this.tree.fn[node]];
    if (place.special) return theme.special;
    const shades = place.own ? theme.own : theme.library;
    return shades[place.rank % shades.length];
  }

  shortName(node) {
    if (node === 0) return `all ${duration(this.tree.total[0] * this.tree.scale)}`;
    const fn = this.tree.fn[node];
    if (!this.names.has(fn)) this.names.set(fn, shortName(this.tree.model.functionName[fn]));
    return this.names.get(fn);
  }

  draw() {
    if (!this.pixels) return;
    const started = performance.now();
    const theme = dark.matches ? THEMES.dark : THEMES.light;
    const top = this.scroller.scrollTop;
    const context = this.context;
    context.fillStyle = theme.edge;
    context.fillRect(0, 0, this.pixels, this.height);
    this.boxes.clear();
    const perPixel = this.width / this.pixels;
    const lastRow = Math.ceil((top + this.height) / ROW);
    const words = [];
    const open = [[0, 0]];
    while (open.length > 0) {
      const [node, x] = open.pop();
      const depth = this.tree.depth[node];
      this.box(node, x, depth * ROW - top, perPixel, theme, words);
      if (depth >= lastRow || this.tree.first[node] === NONE) continue;
      let at = x;
      for (const child of this.tree.children(node)) {
        const total = this.tree.total[child];
        if (at > this.left + this.width) break;
        if (total < perPixel * 0.7) {  // so are all that follow
          this.rest(at, x + this.tree.total[node] - this.tree.self[node], (depth + 1) * ROW - top, perPixel, theme);
          break;
        }
        if (at + total > this.left) open.push([child, at]);
        at += total;
      }
    }
    for (const [label, x, y, color] of words) {
      context.fillStyle = color;
      context.fillText(label, x, y);
    }
    this.mark(theme, top, perPixel);
    this.canvas.scriptTime = performance.now() - started;  // milliseconds; for the tests
  }

  box(node, x, y, perPixel, theme, words) {
    const from = Math.max(0, (x - this.left) / perPixel);
    const to = Math.min(this.pixels, (x + this.tree.total[node] - this.left) / perPixel);
    this.boxes.set(node, {x, from, to});
    if (y < -ROW || y > this.height) return;
    const match = this.matches !== null && node !== 0 && this.matches[this.tree.fn[node]] === 1;
    this.context.fillStyle = match ? theme.match : this.color(node, theme);
    this.context.globalAlpha = this.matches !== null && !match ? 0.45 : 1;
    this.context.fillRect(from, y + 1, Math.max(0.7, to - from - 1), ROW - 1);
    this.context.globalAlpha = 1;
    const letters = Math.floor((to - from - 9) / this.letter);
    if (letters < 2) return;
    const name = this.shortName(node);
    const place = node === 0 || this.packages.ofFunction[this.tree.fn[node]].own;
    const part = name.length + 9 <= letters ? `  ${share(this.tree.total[node], this.tree.total[0])}` : '';
    words.push([name.length <= letters ? name + part : name.slice(0, letters - 1) + '…', from + 4, y + ROW / 2 + 1,
      match ? theme.matchText : place ? theme.text : theme.faint]);
  }

  // Children too narrow to be drawn one by one.
  rest(x, end, y, perPixel, theme) {
    const from = Math.max(0, (x - this.left) / perPixel);
    const to = Math.min(this.pixels, (end - this.left) / perPixel);
    if (to - from < 0.7 || y < -ROW || y > this.height) return;
    this.context.fillStyle = theme.library[0];
    this.context.fillRect(from, y + 1, to - from, ROW - 1);
  }

  mark(theme, top, perPixel) {
    for (const [node, width] of [[this.hovered, 1], [this.selected, 2]]) {
      const box = this.boxes.get(node);
      if (!box) continue;
      this.context.strokeStyle = theme.focus;
      this.context.lineWidth = width;
      this.context.strokeRect(box.from + 1, this.tree.depth[node] * ROW - top + 1.5, Math.max(2, box.to - box.from - 2), ROW - 2);
    }
  }

  at(event) {
    const depth = Math.floor((event.offsetY + this.scroller.scrollTop) / ROW);
    for (const [node, box] of this.boxes) {
      if (this.tree.depth[node] === depth && event.offsetX >= box.from && event.offsetX < Math.max(box.to, box.from + 1)) return node;
    }
    return NONE;
  }

  move(event) {
    const drag = this.drag;
    if (drag && (drag.moved || Math.hypot(event.clientX - drag.x, event.clientY - drag.y) > 4)) {
      drag.moved = true;
      this.hover(NONE);
      this.scroller.scrollTop = drag.top - (event.clientY - drag.y);
      this.pan(drag.left - ((event.clientX - drag.x) * this.width) / this.pixels);
      return;
    }
    const node = this.at(event);
    this.hover(node);
    if (node === NONE) return;
    const box = this.element.getBoundingClientRect();
    const x = event.clientX - box.left, y = event.clientY - box.top;
    this.tip.style.left = `${Math.max(0, Math.min(x + 14, box.width - this.tip.offsetWidth - 4))}px`;
    this.tip.style.top = `${y + 18}px`;
  }

  hover(node) {
    if (node === this.hovered) return;
    this.hovered = node;
    this.tip.hidden = node === NONE;
    if (node !== NONE) this.tip.replaceChildren(...this.describe(node).map((line, i) => h(i === 0 ? 'strong' : 'span', {}, line)));
    this.schedule();
  }

  describe(node) {
    const {total, self, scale} = this.tree;
    const lines = [this.tree.name(node), this.tree.place(node),
      `total ${duration(total[node] * scale)} (${share(total[node], total[0])}), self ${duration(self[node] * scale)} (${share(self[node], total[0])})`];
    return lines.filter((line) => line !== '');
  }

  click(node) {
    if (node === NONE) return;
    this.select(node);
    this.zoom(node);
  }

  select(node) {
    this.selected = node;
    this.show(node);
    say(this.describe(node).join(', '));
    if (this.on.select) this.on.select(node);
    this.schedule();
  }

  show(node) {
    const y = this.tree.depth[node] * ROW;
    if (y < this.scroller.scrollTop) this.scroller.scrollTop = y;
    if (y + ROW > this.scroller.scrollTop + this.height) this.scroller.scrollTop = y + ROW - this.height;
  }

  offset(node) {
    let x = 0;
    for (const step of this.tree.path(node)) {
      for (const sibling of this.tree.children(this.tree.parent[step])) {
        if (sibling === step) break;
        x += this.tree.total[sibling];
      }
    }
    return x;
  }

  zoom(node) {
    this.zoomed = node;
    this.left = this.offset(node);
    this.width = this.tree.total[node];
    if (this.on.zoom) this.on.zoom(node);
    this.schedule();
  }

  pan(left) {
    this.left = Math.max(0, Math.min(left, this.tree.total[0] - this.width));
    this.schedule();
  }

  scale(factor, pixel) {
    const point = this.left + (pixel / this.pixels) * this.width;
    this.width = Math.max(this.tree.total[0] * 1e-6, Math.min(this.width * factor, this.tree.total[0]));
    this.pan(point - (pixel / this.pixels) * this.width);
  }

  setMatches(matches) {
    this.matches = matches;
    this.schedule();
  }

  // Where an arrow key leads from the selected frame.
  neighbour(key) {
    const tree = this.tree;
    const node = this.selected;
    if (node === NONE) return this.zoomed;
    if (key === 'ArrowDown') return tree.children(node)[0];
    if (node === 0) return undefined;
    if (key === 'ArrowUp') return tree.parent[node];
    const siblings = tree.children(tree.parent[node]);
    return siblings[siblings.indexOf(node) + (key === 'ArrowRight' ? 1 : -1)];
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key.startsWith('Arrow')) {
      const node = this.neighbour(event.key);
      if (node !== undefined) this.select(node);
    } else if (event.key === 'Enter' || event.key === ' ') {
      this.zoom(Math.max(0, this.selected));
    } else if (event.key === 'Escape' || event.key === 'Home') {
      this.zoom(0);
    } else if (event.key === '+' || event.key === '-') {
      this.scale(event.key === '+' ? 0.8 : 1.25, this.pixels / 2);
    } else if (event.key === 'c' && this.selected > 0) {
      copy(this.stackText(this.selected), 'the stack');
    } else {
      return;
    }
    event.preventDefault();
  }

  stackText(node) {
    return this.tree.path(node).map((step) => {
      const place = this.tree.place(step);
      return place ? `${this.tree.name(step)}  ${place}` : this.tree.name(step);
    }).join('\n') + '\n';
  }
}
