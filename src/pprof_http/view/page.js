// From an address to a page: #/operations, #/traces, #/trace/ID, #/span/ID, #/op/NAME, #/process, #/status.
const PAGES = {operations: operationsPage, traces: tracesPage, trace: tracePage, span: spanPage, op: operationPage, process: processPage, status: statusPage};
const TAB_OF = {trace: 'traces', op: 'operations', span: 'traces'};

const app = {
  model: null, packages: null, path: [], query: {}, view: null,

  get traces() {
    if (!this.found) this.found = tracesOf(this.model);
    return this.found;
  },

  load(doc) {
    this.model = new Model(doc);
    this.packages = this.model.packages = rankPackages(this.model);
    this.found = null;
  },

  read() {
    const [path, search] = location.hash.replace(/^#\/?/, '').split(/\?(.*)/s);
    let parts;
    try { parts = path.split('/').map(decodeURIComponent); } catch (error) { parts = []; }
    this.path = Object.hasOwn(PAGES, parts[0]) ? parts : ['operations'];
    this.query = Object.fromEntries(new URLSearchParams(search || ''));
  },

  // Remembers something in the address without drawing anew; a little later, since browsers refuse many changes in a row.
  set(query) {
    Object.assign(this.query, query);
    const before = location.hash;
    clearTimeout(this.later);
    this.later = setTimeout(() => { if (location.hash === before) history.replaceState(null, '', link(this.path, this.query)); }, 120);
  },

  go(query) { location.hash = link(this.path, {...this.query, ...query}); },

  show() {
    this.read();
    if (this.view) this.view.dispose();
    this.view = null;
    const [page] = this.path;
    try {
      $('main').replaceChildren(...PAGES[page](this).flat(3).filter(Boolean));
    } catch (error) {  // one broken view leaves the others
      console.error(error);
      failed(error);
    }
    for (const tab of document.querySelectorAll('nav a')) {
      if (tab.dataset.page === (TAB_OF[page] || page)) tab.setAttribute('aria-current', 'page'); else tab.removeAttribute('aria-current');
    }
    const title = $('main').querySelector('h1').textContent;
    document.title = `${title} · ${this.model.service || 'span profile'}`;
  },
};

function header(model) {
  const command = text(model.process.command).split('/').pop();
  $('service').textContent = model.service || command || 'profile';
  const pid = Number.isInteger(model.process.pid) && model.process.pid > 0 ? `pid ${model.process.pid}` : '';
  $('about').textContent = [model.service ? command : '', pid, model.originMs > 0 ? clock(model.timeOf(model.profileStart)).slice(0, 19) + ' UTC' : ''].filter(Boolean).join(' · ');
  $('live').hidden = !model.live;
  $('save').onclick = () => savePage(app.model).catch((error) => toast(`Could not save: ${error.message}`));
  $('refresh').onclick = () => refresh();
}

async function fetchDocument() {
  const answer = await fetch(location.pathname.replace(/\/+$/, '') + '/data', {cache: 'no-store'});
  if (!answer.ok) throw new Error(`the server answers ${answer.status}`);
  return answer.json();
}

async function refresh() {
  try {
    app.load(await fetchDocument());
    header(app.model);
    app.show();
    say('Reloaded');
  } catch (error) {
    toast(`Could not reload: ${error.message}`);
  }
}

function failed(error) {
  const where = error instanceof BadDocument || error instanceof SyntaxError ? 'The data in this page cannot be read' : 'This view could not be made';
  $('main').replaceChildren(h('h1', {}, 'Span profile'), empty('There is nothing to show', [`${where}: ${error.message}`]));
}

function keys(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const typing = event.target.matches('input, textarea');
  if (event.key === 'Escape') {
    if (typing) event.target.blur();
    else if (app.view && app.view.main) app.view.main.zoom(0);
    return;
  }
  if (typing || $('help').open) return;
  const pages = ['operations', 'traces', 'process', 'status'];
  if (event.key === '/' && $('search')) $('search').focus();
  else if (event.key === '?') $('help').showModal();
  else if (/^[1-4]$/.test(event.key)) location.hash = link([pages[event.key - 1]]);
  else return;
  event.preventDefault();
}

async function start() {
  const data = $('data').textContent.trim();
  $('data').remove();
  try {
    app.load(data ? JSON.parse(data) : await fetchDocument());
  } catch (error) {
    failed(error);
    return;
  }
  header(app.model);
  addEventListener('hashchange', () => { app.show(); $('main').focus({preventScroll: true}); scrollTo(0, 0); });
  addEventListener('keydown', keys);
  $('keys').onclick = () => $('help').showModal();
  app.show();
  document.documentElement.dataset.ready = String(Math.round(performance.now()));
}

start();
