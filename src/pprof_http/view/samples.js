// What is computed of a set of samples: the tree of calls, functions, packages; and names fit to be read.

function slotOf(parent, fn) {
  const hash = Math.imul(parent ^ Math.imul(fn, 0x85EBCA6B), 0x9E3779B1);
  return hash ^ (hash >>> 15);
}

// A tree as columns; node 0 is the root. Children are sorted when somebody looks at them: only what is drawn is looked at.
class CallTree {
  // own: a mark for every function of the program itself; then runs of library frames are left out, but for the first that own
  // code calls and the leaf.
  constructor(model, samples, scale = 1, own = null) {
    this.model = model;
    this.scale = scale;
    this.own = own;
    let frames = 1;
    for (const i of samples) frames += model.stackStart[model.sampleStack[i] + 1] - model.stackStart[model.sampleStack[i]];
    const room = Math.min(frames, 1 << 18);
    this.size = 1;
    this.edge = new Int32Array(2 * room).fill(NONE);  // parent and function side by side: one look at memory while it grows
    this.line = new Int32Array(room);  // NONE: several
    this.first = new Int32Array(room).fill(NONE);
    this.next = new Int32Array(room).fill(NONE);
    this.depth = new Int32Array(room);
    this.total = new Float64Array(room);
    this.self = new Float64Array(room);
    this.maxDepth = 0;
    this.sorted = new Map();
    this.slots = new Int32Array(1 << Math.min(22, 33 - Math.clz32(frames))).fill(NONE);
    for (const i of samples) this.add(i);
    this.parent = new Int32Array(this.size);
    this.fn = new Int32Array(this.size);
    for (let node = 0; node < this.size; ++node) {
      this.parent[node] = this.edge[2 * node];
      this.fn[node] = this.edge[2 * node + 1];
    }
    this.slots = this.edge = null;
  }

  add(sample) {
    const {stackStart, stackFrames, frameFunction, frameLine, sampleStack, sampleCpu} = this.model;
    const weight = sampleCpu[sample];
    const stack = sampleStack[sample];
    let node = 0, inLibrary = true;
    this.total[0] += weight;
    for (let at = stackStart[stack + 1] - 1; at >= stackStart[stack]; --at) {
      if (this.own) {
        const library = this.own[frameFunction[stackFrames[at]]] === 0;
        const skip = library && inLibrary && at > stackStart[stack];
        inLibrary = library;
        if (skip) continue;
      }
      node = this.child(node, frameFunction[stackFrames[at]], frameLine[stackFrames[at]]);
      this.total[node] += weight;
    }
    this.self[node] += weight;
  }

  child(parent, fn, line) {
    const mask = this.slots.length - 1;
    let slot = slotOf(parent, fn) & mask;
    for (let node; (node = this.slots[slot]) !== NONE; slot = (slot + 1) & mask) {
      if (this.edge[2 * node] !== parent || this.edge[2 * node + 1] !== fn) continue;
      if (this.line[node] !== line) this.line[node] = NONE;
      return node;
    }
    if (this.size === this.first.length) this.grow();
    const node = this.size++;
    this.edge[2 * node] = parent;
    this.edge[2 * node + 1] = fn;
    this.line[node] = line;
    this.next[node] = this.first[parent];
    this.first[parent] = node;
    this.depth[node] = this.depth[parent] + 1;
    if (this.depth[node] > this.maxDepth) this.maxDepth = this.depth[node];
    this.slots[slot] = node;
    if (this.size * 2 > this.slots.length) this.rehash();
    return node;
  }

  grow() {
    for (const name of ['edge', 'line', 'first', 'next', 'depth', 'total', 'self']) {
      const old = this[name];
      this[name] = new old.constructor(old.length * 2);
      if (name === 'edge' || name === 'first' || name === 'next') this[name].fill(NONE);
      this[name].set(old);
    }
  }

  rehash() {
    this.slots = new Int32Array(this.slots.length * 4).fill(NONE);
    const mask = this.slots.length - 1;
    for (let node = 1; node < this.size; ++node) {
      let slot = slotOf(this.edge[2 * node], this.edge[2 * node + 1]) & mask;
      while (this.slots[slot] !== NONE) slot = (slot + 1) & mask;
      this.slots[slot] = node;
    }
  }

  // Widest first, equal ones by name, so that the same data has the same picture.
  children(node) {
    let list = this.sorted.get(node);
    if (list) return list;
    list = [];
    for (let child = this.first[node]; child !== NONE; child = this.next[child]) list.push(child);
    list.sort((a, b) => this.total[b] - this.total[a] || (this.name(a) < this.name(b) ? -1 : 1));
    this.sorted.set(node, list);
    return list;
  }

  name(node) { return node === 0 ? 'all' : this.model.functionName[this.fn[node]]; }

  path(node) {
    const path = [];
    for (; node > 0; node = this.parent[node]) path.unshift(node);
    return path;
  }

  // A short name of a place in the tree that is the same in another run: for links.
  key(node) {
    let hash = 0x811C9DC5;
    for (const step of this.path(node)) {
      for (const c of this.name(step) + '\n') hash = Math.imul(hash ^ c.codePointAt(0), 0x01000193);
    }
    return (hash >>> 0).toString(36) + '.' + this.depth[node];
  }

  find(key) {
    const depth = Number(key.split('.')[1]);
    for (let node = 1; node < this.size; ++node) if (this.depth[node] === depth && this.key(node) === key) return node;
    return 0;
  }

  place(node) {
    const file = this.model.functionFile[this.fn[node]];
    if (node === 0 || !file) return '';
    return this.line[node] === NONE ? `${file} (several lines)` : this.line[node] > 0 ? `${file}:${this.line[node]}` : file;
  }
}

// The CPU time of the samples with a function that matches anywhere in their stacks, drawn or not.
function matchedCpu(model, samples, matches) {
  const {stackStart, stackFrames, frameFunction, sampleStack} = model;
  let sum = 0;
  for (const i of samples) {
    const end = stackStart[sampleStack[i] + 1];
    for (let at = stackStart[sampleStack[i]]; at < end; ++at) {
      if (matches[frameFunction[stackFrames[at]]] === 0) continue;
      sum += model.sampleCpu[i];
      break;
    }
  }
  return sum;
}

// Self and total CPU time of functions, as pprof -top counts them: by name, recursion once.
function functionsOf(model, samples) {
  const self = new Float64Array(model.names.length);
  const total = new Float64Array(model.names.length);
  const seen = new Int32Array(model.names.length).fill(NONE);
  const where = new Int32Array(model.names.length).fill(NONE);
  const {stackStart, stackFrames, frameFunction, nameOfFunction} = model;
  for (const i of samples) {
    const stack = model.sampleStack[i];
    for (let at = stackStart[stack]; at < stackStart[stack + 1]; ++at) {
      const fn = frameFunction[stackFrames[at]];
      const name = nameOfFunction[fn];
      if (at === stackStart[stack]) self[name] += model.sampleCpu[i];
      if (seen[name] === i) continue;
      seen[name] = i;
      total[name] += model.sampleCpu[i];
      if (where[name] === NONE) where[name] = fn;
    }
  }
  const rows = [];
  for (let name = 0; name < where.length; ++name) {
    if (where[name] !== NONE) rows.push({name: model.names[name], fn: where[name], self: self[name], total: total[name]});
  }
  return rows.sort((a, b) => b.self - a.self || b.total - a.total);
}

// Regular expression to a mark for every function; null: not an expression.
function matchFunctions(model, expression) {
  try {
    const pattern = new RegExp(expression, /[A-Z]/.test(expression) ? '' : 'i');
    return Uint8Array.from(model.functionName, (name, fn) => (pattern.test(name) || pattern.test(model.functionFile[fn]) ? 1 : 0));
  } catch (error) {
    return null;
  }
}

const LIBRARY = /^\/usr\/(local\/)?(include|lib|share)|^\/lib|^\.\.?\/|^\/build\/|\/(_deps|third_party|external|vcpkg_installed|\.conan2?)\/|^$|^</;

// {name, own}: the part of the program that a function belongs to, by its file.
function packageOf(model, fn) {
  const name = model.functionName[fn], file = model.functionFile[fn];
  if (/^\[[^\]]*\]$/.test(name)) return {name: 'not code', own: false, special: true};
  const unnamed = /^\[([^\]]+)\] 0x/.exec(name);
  if (unnamed) return {name: unnamed[1], own: false};
  if (!LIBRARY.test(file)) return {name: file.split('/').slice(-3, -1).join('/') || file, own: true};
  if (/\/c\+\+\//.test(file)) return {name: 'C++ library', own: false};
  if (/^\.\.?\//.test(file)) return {name: 'C library', own: false};
  const header = /^\/usr\/(?:local\/)?include\/([^/]+)\//.exec(file);
  return {name: header ? header[1] : /^(\w+)::/.test(name) ? /^\w+/.exec(name)[0] : 'other libraries', own: false};
}

// Packages by CPU time of their own frames, and the package of each function.
function rankPackages(model) {
  const packages = new Map();
  const ofFunction = model.functionName.map((_, fn) => {
    const found = packageOf(model, fn);
    if (!packages.has(found.name)) packages.set(found.name, {...found, self: 0, rank: 0});
    return packages.get(found.name);
  });
  for (let i = 0; i < model.sampleTotal; ++i) {
    const stack = model.sampleStack[i];
    const at = model.stackStart[stack];
    if (at < model.stackStart[stack + 1]) ofFunction[model.frameFunction[model.stackFrames[at]]].self += model.sampleCpu[i];
  }
  const ranked = [...packages.values()].sort((a, b) => b.self - a.self);
  for (const own of [true, false]) ranked.filter((p) => p.own === own && !p.special).forEach((p, rank) => { p.rank = rank; });
  return {ranked, ofFunction, own: Uint8Array.from(ofFunction, (place) => (place.own ? 1 : 0))};
}

// Where the bracket that opens at `at` ends; the text's end if it does not.
function closing(name, at, open, close) {
  let depth = 0;
  for (; at < name.length; ++at) {
    if (name[at] === open) ++depth;
    else if (name[at] === close && name[at - 1] !== '-' && --depth === 0) return at;
  }
  return name.length - 1;
}

// A C++ name without its parameters and template arguments: std::map<..>::at.
function shortName(name) {
  if (name.length < 12 || name.startsWith('[')) return name;
  let out = '';
  for (let at = 0; at < name.length; ++at) {
    const rest = name.slice(at, at + 24);
    const operator = /^operator *(\(\)|\[\]|<=>|<<=?|>>=?|->\*?|[-+*/%^&|~!=<>]=?|new|delete)/.exec(rest);
    if (operator && !/\w/.test(name[at - 1] || '')) { out += operator[0]; at += operator[0].length - 1; }
    else if (rest.startsWith('(anonymous namespace)')) { out += '(anonymous)'; at += 20; }
    else if (name[at] === '<' && at > 0) { out += '<…>'; at = closing(name, at, '<', '>'); }
    else if (name[at] === '(' || (rest.startsWith('[abi:'))) { at = name[at] === '(' ? closing(name, at, '(', ')') : closing(name, at, '[', ']'); }
    else out += name[at];
  }
  out = out.replace(/ (const|volatile|&|&&|\[clone.*)$/g, '').trim();
  const head = out.search(/operator (new|delete)|operator/);
  const space = out.lastIndexOf(' ', head < 0 ? out.length : head);
  return out.slice(out.includes('{') ? 0 : space + 1) || name;
}
