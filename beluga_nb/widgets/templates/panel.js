// What core widgets cannot do: names, keys, the clipboard. `this` is the panel's <style> element.
const root = this.closest('.beluga-panel');
if (root && !root.belugaReady) {
  root.belugaReady = true;
  const all = (selector) => [...root.querySelectorAll(selector)];
  const click = (selector) => root.querySelector(selector)?.click();
  const classic = window.Jupyter?.notebook;  // in NbClassic and Notebook 6

  // Accessible names and roles, which core widgets lack.
  const attribute = (element, name, value) => {
    if (element && element.getAttribute(name) !== value) element.setAttribute(name, value);
  };
  // A caption ends with a word, and not within one; the tile's tooltip has all of it.
  const ruler = document.createElement('canvas').getContext('2d');
  const cutCaption = (button, room) => {
    if (button.textContent !== button.belugaCut) button.belugaWhole = button.textContent;
    const words = button.belugaWhole.split(' ');
    let cut = button.belugaWhole;
    while (words.length > 1 && ruler.measureText(cut).width > room) {
      words.pop();
      cut = words.join(' ').replace(/[,;:.]$/, '') + '…';
    }
    button.belugaCut = cut;
    if (button.textContent !== cut) button.textContent = cut;
  };
  const name = () => {
    // One tile is in the order of Tab, and arrows go on from there: else a full strip would be a hundred stops.
    const current = root.querySelector('.beluga-tile:focus-within') || root.querySelector('.beluga-chosen') || root.querySelector('.beluga-tile');
    for (const strip of all('.beluga-tiles')) {
      attribute(strip, 'role', 'group');
      attribute(strip, 'aria-label', 'Pictures: arrows move');
    }
    const caption = root.querySelector('.beluga-tile button');
    if (caption) ruler.font = `700 12px ${getComputedStyle(caption).fontFamily}`;  // the chosen one is bold
    const room = caption ? caption.clientWidth - 8 : 0;
    for (const tile of all('.beluga-tile')) {
      if (room > 0) cutCaption(tile.querySelector('button'), room);
      const words = tile.querySelector('button').title;
      attribute(tile.querySelector('img'), 'alt', '');
      for (const button of tile.querySelectorAll('button')) {
        attribute(button, 'tabindex', tile === current ? '0' : '-1');
        const state = button.matches('.beluga-star') ? 'starred' : button.matches('.beluga-pick') ? 'picked' : 'chosen';
        attribute(button, 'aria-label', state === 'chosen' ? button.title : `${button.title}: ${words}`);
        attribute(button, 'aria-pressed', String(tile.classList.contains('beluga-' + state)));
      }
    }
    for (const button of all('.beluga-remove, .beluga-counts button')) attribute(button, 'aria-label', button.title);
    for (const button of all('.beluga-counts button')) attribute(button, 'aria-pressed', String(button.textContent === typed('counts')));
    for (const shown of all('.beluga-named')) {
      const image = shown.querySelector('img');
      const words = shown.querySelector('.beluga-alt');
      attribute(image, 'alt', words?.textContent || '');
      // Said of the picture; only the grid's says more, as it comes.
      if (words && !words.closest('.beluga-grid')) attribute(words, 'aria-hidden', 'true');
    }
    for (const box of all('.beluga-sizes')) {
      attribute(box, 'role', 'radiogroup');
      attribute(box, 'aria-label', 'Size');
      for (const radio of box.querySelectorAll('input')) radio.name = root.belugaName;
    }
    for (const button of all('.widget-toggle-button')) attribute(button, 'aria-expanded', String(button.classList.contains('mod-active')));
    for (const [selector, role] of [['.beluga-message', 'status'], ['.beluga-plan', 'status'], ['.beluga-error', 'alert'], ['.beluga-grid .beluga-alt', 'status']])
      for (const element of all(selector)) attribute(element, 'role', role);
    // No live regions: a reader would read all of the calls again each second.
    for (const [selector, words] of [['.beluga-work', 'Running and failed calls'], ['.beluga-header', 'Who answers']])
      for (const group of all(selector)) {
        attribute(group, 'role', 'group');
        attribute(group, 'aria-label', words);
      }
    const opened = root.querySelector('.lm-TabBar-tab.lm-mod-current');
    for (const panel of all('.widget-tab-contents > *')) {
      attribute(panel, 'role', 'tabpanel');
      if (opened) attribute(panel, 'aria-label', opened.textContent);
    }
    for (const tab of all('.lm-TabBar-tab')) {
      attribute(tab, 'aria-label', tab.textContent);
      if (tab.parentElement !== document.activeElement.parentElement) attribute(tab, 'tabindex', tab.matches('.lm-mod-current') ? '0' : '-1');
    }
    attribute(root, 'role', 'region');
    attribute(root, 'aria-label', 'beluga_nb panel');
    const dead = Boolean(root.querySelector('.jupyter-widgets-disconnected'));
    for (const part of all('.beluga-header, .beluga-form, .beluga-canvas, .beluga-strip')) if (part.inert !== dead) part.inert = dead;
    for (const link of all('.beluga-download a:not([data-seen])')) {
      link.dataset.seen = 'yes';
      link.click();
    }
    follow();
    compare();
    drawAxes();
  };
  root.addEventListener('focusin', (event) => { if (event.target.closest('.beluga-tile, .lm-TabBar')) later(); });
  root.addEventListener('focusout', (event) => { if (event.target.closest('.lm-TabBar')) later(); });
  root.belugaName = 'size-' + Math.random().toString(36).slice(2);
  // Many messages of the kernel make one change: all of it is named together.
  let naming = 0;
  const later = () => { naming ||= setTimeout(() => { naming = 0; name(); }, 20); };
  new MutationObserver(() => { if (pending()) promiseNoMore(); later(); }).observe(root, {childList: true, subtree: true, attributes: true, attributeFilter: ['class', 'title'], characterData: true});
  setTimeout(name);

  // A click may wait in the kernel behind a cell, while form and panel change. So each is sent with what was seen
  // when it was made: the kernel does that, or says that it did nothing.
  const composer = () => root.querySelector('.beluga-form');
  const fieldIn = (name) => root.querySelector(`.beluga-${name} :is(textarea, input, select)`);
  const textOf = (name) => root.querySelector('.beluga-' + name)?.textContent.trim() ?? '';
  const typed = (name) => { const field = fieldIn(name); return field && (field.value || (name === 'model' ? field.placeholder : '')); };
  const received = (name) => root.querySelector(`.beluga-received-${name} textarea`)?.value;
  const chosen = (text) => text === undefined ? null : text === 'default' ? '' : text;
  const form = () => ({
    prompt: typed('prompt'), model: typed('model'), take: typed('take'), axes: typed('axes'), n: Number(typed('counts')),
    size: chosen(root.querySelector('.beluga-sizes label:has(:checked)')?.textContent.trim()), quality: chosen(typed('quality')),
    name: typed('variable'), note: typed('annotation'), new_tag: typed('new-tag'),
  });
  // What the kernel has yet to receive. While its list is drawn again, a field has no value.
  const echoes = [['prompt', 'prompt'], ['model', 'search'], ['take', 'take'], ['axes', 'axes'], ['n', 'n'], ['size', 'size'], ['quality', 'quality']];
  const pending = () => {
    const held = form();
    return echoes.some(([field, echo]) => held[field] != null && String(held[field]) !== (received(echo) ?? String(held[field])));
  };
  // Until then, the button says no more than the form: what the kernel says of it is about the form before.
  const promiseNoMore = () => {
    const button = root.querySelector('.beluga-generate'), words = `Generate ${form().n}`;
    if (button && button.textContent !== words) button.textContent = words;
  };
  const unconfirmed = [];
  let clicks = 0;
  const subjectOf = (element) => {
    const marked = element.closest('.beluga-tile')?.querySelector('[class*=beluga-of-]') ?? element.closest('[class*=beluga-of-]');
    return /beluga-of-(\w+)/.exec(marked?.className)?.[1] ?? '';
  };
  const report = (button, held, turn, subject = subjectOf(button)) => {
    const [page, arrived] = textOf('heard').split(' ');
    while (page === root.belugaName && unconfirmed[0]?.number <= Number(arrived)) unconfirmed.shift();
    const shown = {action: textOf('generate'), grid_plan: textOf('plan'), turn};
    const key = [...button.classList].find((each) => each.startsWith('beluga-click-'));
    unconfirmed.push({page: root.belugaName, number: ++clicks, key, tooltip: button.title, subject, form: {...held, ...shown}});
    const field = fieldIn('clicks');
    field.value = JSON.stringify(unconfirmed);
    field.dispatchEvent(new Event('input', {bubbles: true}));
  };
  // A click that asks for pictures shows at once. It waits, for a second, until the kernel has received what was
  // typed before it and the button says what it does; a form that changes meanwhile ends it.
  let waiting = 0, late = 0;
  const say = (words) => {
    if (!composer().querySelector('.beluga-waiting')) composer().append(Object.assign(document.createElement('div'), {className: 'beluga-waiting'}));
    const line = composer().querySelector('.beluga-waiting');
    attribute(line, 'role', 'status');
    if (line.textContent !== words) line.textContent = words;
  };
  const ended = (words) => {
    answered.disconnect();
    clearTimeout(late);
    say(words);
    for (const button of all('.beluga-pressed')) button.classList.remove('beluga-pressed');
  };
  const answered = new MutationObserver(() => ended(''));
  const pressed = (button) => {
    ended('');
    button.classList.add('beluga-pressed');
    late = setTimeout(say, 500, 'Waits for the kernel: a cell may be running.');
    for (const place of all('.beluga-canvas, .beluga-work')) answered.observe(place, {childList: true, subtree: true, characterData: true});
  };
  const order = (button) => {
    const held = form(), turn = Number(textOf('turn'));
    clearInterval(waiting);
    pressed(button);
    let turns = 0;
    const go = () => {
      const changed = Object.entries(form()).some(([name, each]) => each != null && held[name] != null && each !== held[name]);
      if (root.isConnected && !changed && (pending() || button.disabled) && ++turns < 50) return;
      clearInterval(waiting);
      if (changed) ended('Nothing was sent: the form changed after the click. Click again.');
      else if (root.isConnected) report(button, held, turn);
    };
    waiting = setInterval(go, 20);
    go();
  };
  root.addEventListener('click', (event) => {
    const button = event.target.closest('[class*=beluga-click-]');
    if (!button || !fieldIn('clicks')) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    const tile = button.closest('.beluga-tile');
    // A tile is chosen at once; its picture follows from the store.
    if (tile && !button.matches('.beluga-star, .beluga-pick')) {
      for (const each of all('.beluga-chosen')) each.classList.toggle('beluga-chosen', each === tile);
      tile.classList.add('beluga-chosen');
    }
    if (button.matches('.beluga-insert')) insert(root.querySelector('.beluga-cell textarea').value);
    if (button.matches('.beluga-generate, .beluga-run-grid')) order(button);
    else report(button, form(), Number(textOf('turn')));
  }, true);
  // A note is about the picture that was on the stage when it was begun.
  const noted = (event) => event.target.closest('.beluga-annotation input');
  root.addEventListener('input', (event) => {
    const note = noted(event);
    if (note) note.belugaAbout ??= subjectOf(note);
  });
  root.addEventListener('change', (event) => {
    const note = noted(event);
    if (!note || !fieldIn('clicks')) return;
    event.stopImmediatePropagation();
    report(root.querySelector('.beluga-keep-note'), form(), Number(textOf('turn')), note.belugaAbout);
    note.belugaAbout = undefined;
  }, true);
  root.addEventListener('input', (event) => {
    if (!event.isTrusted || !event.target.closest('.beluga-form')) return;
    promiseNoMore();
    later();
  });
  // What is typed makes the button live before the kernel has heard of it.
  root.addEventListener('input', (event) => {
    if (event.target.closest('.beluga-prompt')) root.querySelector('.beluga-generate').disabled = !event.target.value.trim();
  });
  // A list of suggestions holds what matches the text of its field: while it is empty, all of them.
  root.addEventListener('focusin', (event) => {
    const input = event.target;
    if (!input.closest('.beluga-model')) return;
    const before = input.value;
    input.placeholder = before;
    input.value = '';
    input.addEventListener('blur', () => { if (!input.value) input.value = before; }, {once: true});
  });

  // Navigation keys belong to the focused control, but the notebook would move its own cursor by them, and
  // Notebook 7 does so before the event reaches the panel. A capturing listener on the window runs first and
  // sets the attribute that tells Lumino to ignore the key.
  const steps = ['ArrowRight', 'ArrowLeft', 'ArrowDown', 'ArrowUp', 'Home', 'End', 'PageUp', 'PageDown'];
  const claim = (element, own) => element?.toggleAttribute('data-lm-suppress-shortcuts', own);
  const capture = (event) => {
    const alone = !event.ctrlKey && !event.metaKey && !event.altKey;
    if (root.contains(event.target)) claim(event.target, alone && steps.includes(event.key));
  };
  root.addEventListener('focusin', () => window.addEventListener('keydown', capture, true));
  root.addEventListener('focusout', () => window.removeEventListener('keydown', capture, true));

  saveByKeys(root);
  // Ctrl or Cmd with Enter generates; arrows move through the tiles.
  root.addEventListener('keydown', (event) => {
    if (event.key === 'Enter' && (event.ctrlKey || event.metaKey) && event.target.closest('.beluga-form')) {
      event.preventDefault();
      event.stopPropagation();
      if (event.target.closest('.beluga-model')) event.target.value ||= event.target.placeholder;
      for (const kind of ['input', 'change']) event.target.dispatchEvent(new Event(kind, {bubbles: true}));
      root.querySelector('.beluga-generate').disabled = !typed('prompt').trim();
      click('.beluga-generate');
    }
    if (event.target.closest('.beluga-tiles')) steer(event);
  }, true);

  // The filmstrip has as many tiles as are in view, between spaces as wide as the others; what comes into view
  // is asked for.
  const columnsOf = (tiles) => getComputedStyle(tiles).display === 'grid' ? getComputedStyle(tiles).gridTemplateColumns.split(' ').length : 1;
  const measure = () => {
    const tiles = root.querySelector('.beluga-tiles');
    const [first, count, total] = (root.querySelector('.beluga-window')?.textContent || '0 0 0').split(' ').map(Number);
    const down = tiles && getComputedStyle(tiles).display === 'grid';
    const columns = tiles ? columnsOf(tiles) : 1;
    return {tiles, first, count, total, down, columns, step: down ? 174 : 136};
  };
  // The number of the picture whose tile has the focus, and of the first tile: tiles show others when the strip moves.
  let position = 0, begun = 0, byKeys = false;
  root.addEventListener('wheel', () => { byKeys = false; }, {passive: true});
  root.addEventListener('focusin', (event) => {
    const tile = event.target.closest('.beluga-tile');
    if (tile) position = begun + [...tile.parentElement.querySelectorAll('.beluga-tile')].indexOf(tile);
  });
  const reach = () => {
    const {tiles, down, columns, step} = measure();
    const tile = tiles.querySelectorAll('.beluga-tile')[position - begun];
    byKeys = true;
    if (tile) return tile.querySelector('button').focus();
    // Until its tile is there, the strip has the focus, so that no key is lost.
    tiles.tabIndex = -1;
    tiles.focus({preventScroll: true});
    if (down) tiles.scrollTop = Math.floor(position / columns) * step - tiles.clientHeight / 2;
    else tiles.scrollLeft = position * step - tiles.clientWidth / 2;
  };
  const steer = (event) => {
    const step = {ArrowRight: 1, ArrowLeft: -1, ArrowDown: 'down', ArrowUp: 'up', Home: 'home', End: 'end'}[event.key];
    if (!step) return;
    const {columns, total} = measure();
    const next = {down: position + columns, up: position - columns, home: 0, end: total - 1}[step] ?? position + step;
    event.preventDefault();
    event.stopPropagation();
    position = Math.max(0, Math.min(total - 1, next));
    reach();
  };
  // A tile that is gone has lost the focus to the page: until another has it, keys are meant for the strip.
  window.addEventListener('keydown', (event) => { if (byKeys && root.isConnected && event.target === document.body) steer(event); }, true);
  document.addEventListener('pointerdown', () => { byKeys = false; }, {passive: true});
  document.addEventListener('focusin', (event) => { if (!event.target.closest('.beluga-tiles')) byKeys = false; });
  // Keep the focus on its picture, which another tile shows now; a tile that is gone has lost the focus.
  const keep = (tiles, first) => {
    begun = first;
    const active = document.activeElement, held = active.closest('.beluga-tile');
    if (!tiles.contains(active) && !(byKeys && active === document.body)) return;
    const place = held ? [...held.querySelectorAll('button')].indexOf(active) : 0;
    const wanted = tiles.querySelectorAll('.beluga-tile')[position - first]?.querySelectorAll('button')[place];
    wanted?.focus({preventScroll: true});
    if (byKeys) wanted?.scrollIntoView({block: 'nearest', inline: 'nearest'});
  };
  let asked = -1;
  const follow = () => {
    const {tiles, first, count, total, down, columns, step} = measure();
    if (!tiles) return;
    if (asked === first) asked = -1;
    tiles.style.setProperty('--lead', Math.floor(first / columns) * step + 'px');
    tiles.style.setProperty('--tail', Math.max(0, Math.ceil((total - first - count) / columns)) * step + 'px');
    if (begun !== first) keep(tiles, first);
    const [place, room] = down ? [tiles.scrollTop, tiles.clientHeight] : [tiles.scrollLeft, tiles.clientWidth];
    const from = Math.floor(place / step) * columns;
    const seen = (Math.ceil(room / step) + 1) * columns;
    if (asked >= 0 || !room || (from >= first && Math.min(total, from + seen) <= first + count)) return;
    const start = Math.max(0, from - Math.max(columns, Math.floor((36 - seen) / 2 / columns) * columns));
    const input = root.querySelector('.beluga-at input');
    if (start === first || !input) return;
    asked = start;
    setTimeout(() => { asked = -1; }, 1000);
    input.value = start;
    for (const kind of ['input', 'change']) input.dispatchEvent(new Event(kind, {bubbles: true}));
  };
  let drawn = 0;
  root.addEventListener('scroll', () => { cancelAnimationFrame(drawn); drawn = requestAnimationFrame(follow); }, true);
  root.addEventListener('click', (event) => { if (event.target.closest('.beluga-history')) setTimeout(follow, 50); });

  // Others may have recorded pictures: they are listed when the panel comes into view again.
  // Not more often than every three seconds, but what is recorded in between is listed then.
  let looked = 0, looking = 0;
  const look = () => {
    clearTimeout(looking);
    if (document.hidden || !root.isConnected) return;
    const early = looked + 3000 - Date.now();
    if (early > 0) return void (looking = setTimeout(look, early));
    looked = Date.now();
    click('.beluga-seen');
  };
  root.addEventListener('pointerenter', look);
  root.addEventListener('focusin', look);
  document.addEventListener('visibilitychange', look);
  new IntersectionObserver((entries) => { if (entries.some((each) => each.isIntersecting)) look(); }).observe(root);

  // The comparison: the wheel and two keys zoom, dragging and arrows move, all in the page.
  const view = {zoom: 1, x: 0, y: 0, split: 0.5};
  const between = (least, value, most) => Math.min(most, Math.max(least, value));
  const compared = () => root.querySelector('.beluga-compared');
  const draw = () => {
    const most = 50 * (view.zoom - 1);
    view.x = between(-most, view.x, most);
    view.y = between(-most, view.y, most);
    const box = compared();
    for (const each of ['zoom', 'x', 'y', 'split']) box.style.setProperty('--' + each, view[each]);
    attribute(box.querySelector('.beluga-handle'), 'aria-valuenow', String(Math.round(view.split * 100)));
  };
  const zoom = (factor, x = 0, y = 0) => {
    const before = view.zoom;
    view.zoom = between(1, view.zoom * factor, 16);
    view.x = x - (x - view.x) * view.zoom / before;
    view.y = y - (y - view.y) * view.zoom / before;
    draw();
  };
  const compare = () => {
    const box = compared();
    if (!box) return;
    const mode = root.querySelector('.beluga-mode select')?.value || 'side by side';
    if (box.dataset.mode !== mode) box.dataset.mode = mode;
    box.dataset.count = [...box.querySelectorAll('.beluga-slot')].filter((slot) => slot.style.display !== 'none').length;
    if (box.querySelector('.beluga-handle')) return;
    const handle = document.createElement('div');
    handle.className = 'beluga-handle';
    handle.tabIndex = 0;
    for (const [name, value] of [['role', 'slider'], ['aria-label', 'Split'], ['aria-valuemin', '0'], ['aria-valuemax', '100'], ['aria-valuenow', '50']]) handle.setAttribute(name, value);
    box.append(handle);
    box.tabIndex = 0;
    attribute(box, 'role', 'group');
    attribute(box, 'aria-label', 'Pictures that are compared: plus and minus zoom, arrows move');
  };
  root.addEventListener('change', compare);
  const spot = (event, frame) => {
    const {left, top, width, height} = frame.getBoundingClientRect();
    return [(event.clientX - left) / width * 100 - 50, (event.clientY - top) / height * 100 - 50];
  };
  root.addEventListener('wheel', (event) => {
    const frame = event.target.closest('.beluga-frame, .beluga-handle');
    if (!frame) return;
    event.preventDefault();
    // A notch of a wheel is about 100 pixels or 3 lines; a touchpad sends many small steps.
    const turned = between(-100, event.deltaY * (event.deltaMode ? 33 : 1), 100);
    zoom(1.15 ** (-turned / 100), ...spot(event, compared().querySelector('.beluga-frame')));
  }, {passive: false});
  let held = null;
  root.addEventListener('pointerdown', (event) => {
    const place = event.target.closest('.beluga-frame, .beluga-handle');
    if (!place) return;
    event.preventDefault();
    const curtain = place.matches('.beluga-handle') || (compared().dataset.mode === 'slider' && view.zoom === 1);
    held = {curtain, x: event.clientX, y: event.clientY, frame: compared().querySelector('.beluga-frame')};
    place.setPointerCapture(event.pointerId);
  });
  root.addEventListener('pointermove', (event) => {
    if (!held) return;
    const {left, width, height} = held.frame.getBoundingClientRect();
    if (held.curtain) view.split = between(0, (event.clientX - left) / width, 1);
    else {
      view.x += (event.clientX - held.x) / width * 100;
      view.y += (event.clientY - held.y) / height * 100;
      [held.x, held.y] = [event.clientX, event.clientY];
    }
    draw();
  });
  for (const end of ['pointerup', 'pointercancel']) root.addEventListener(end, () => { held = null; });
  root.addEventListener('click', (event) => {
    const button = event.target.closest('[class*=beluga-zoom-]');
    if (!button) return;
    if (button.matches('.beluga-zoom-fit')) Object.assign(view, {zoom: 1, x: 0, y: 0});
    zoom(button.matches('.beluga-zoom-in') ? 1.5 : button.matches('.beluga-zoom-out') ? 1 / 1.5 : 1);
  });
  root.addEventListener('keydown', (event) => {
    if (!event.target.closest('.beluga-compared') || event.ctrlKey || event.metaKey || event.altKey) return;
    const step = {ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowDown: [0, 1], ArrowUp: [0, -1]}[event.key];
    const factor = {'+': 1.25, '=': 1.25, '-': 1 / 1.25, 0: 1}[event.key];
    if (!step && !factor) return;
    event.preventDefault();
    event.stopPropagation();
    if (event.key === '0') Object.assign(view, {zoom: 1, x: 0, y: 0});
    if (step && event.target.matches('.beluga-handle')) view.split = between(0, view.split + step[0] * 0.05, 1);
    else if (step) [view.x, view.y] = [view.x - step[0] * 10, view.y - step[1] * 10];
    zoom(factor || 1);
  }, true);

  // The grid's axes as chips. The text that the kernel has is the model: chips are drawn from it and write it.
  const split = (text) => {  // as grid_builder.py does
    const values = [''];
    let state = 'start';
    for (const char of text) {
      if (char === ',' && state !== 'quoted') {
        values.push('');
        state = 'start';
      } else if (char === '"' && state === 'start') state = 'quoted';
      else if (char === '"' && state === 'quoted') state = 'closed';
      else if (char !== ' ' || state !== 'start') {
        values[values.length - 1] += char;
        state = state === 'quoted' || (char === '"' && state === 'closed') ? 'quoted' : 'plain';
      }
    }
    return values.map((value) => value.trim()).filter(Boolean);
  };
  const quote = (value) => /^"|,/.test(value) ? `"${value.replaceAll('"', '""')}"` : value;
  const make = (tag, kind, words, label) => {
    const made = document.createElement(tag);
    if (kind) made.className = 'beluga-' + kind;
    if (words) made.textContent = words;
    if (label) made.setAttribute('aria-label', label);
    return made;
  };
  const nameOf = (axis) => axis.querySelector('.beluga-axis-name').value.trim();
  const fieldOf = (axis) => axis.querySelector('.beluga-axis-value');
  const valuesOf = (axis) => [...axis.querySelectorAll('.beluga-chip')].map((chip) => chip.firstChild.textContent);
  const addValues = (axis, values) => {
    const list = axis.querySelector('[role=list]');
    for (const value of values.filter((each, at) => values.indexOf(each) === at && !valuesOf(axis).includes(each))) {
      const chip = make('span', 'chip', value);
      chip.setAttribute('role', 'listitem');
      chip.append(make('button', 'cut', '×', `Remove ${value}`));
      list.append(chip);
    }
  };
  const makeAxis = ({name, values}) => {
    const axis = make('div', 'axis');
    const [title, list, field] = [make('input', 'axis-name', '', 'Axis'), make('span'), make('input', 'axis-value')];
    [title.value, title.placeholder, field.placeholder] = [name, 'axis', 'a value, another'];
    axis.setAttribute('role', 'group');
    list.setAttribute('role', 'list');
    for (const input of [title, field]) input.setAttribute('list', root.belugaName);
    axis.append(title, list, field, make('button', 'cut', '×'));
    addValues(axis, values);
    return axis;
  };
  const nameAxes = (holder) => {
    const axes = [...holder.querySelectorAll('.beluga-axis')];
    if (!axes.length || nameOf(axes.at(-1))) holder.querySelector('.beluga-add').before(makeAxis({name: '', values: []}));
    for (const axis of holder.querySelectorAll('.beluga-axis')) {
      const name = nameOf(axis);
      attribute(axis, 'aria-label', name ? `Axis ${name}` : 'Another axis');
      attribute(fieldOf(axis), 'aria-label', name ? `Add values of ${name}` : 'Add values');
      const cut = axis.querySelector(':scope > .beluga-cut');
      cut.hidden = !name;
      attribute(cut, 'aria-label', `Remove the axis ${name}`);
    }
    const add = holder.querySelector('.beluga-add'), used = axes.map(nameOf);
    const wanted = axisNames().filter((each) => !used.includes(each));
    if (add.dataset.names === String(wanted)) return;
    add.dataset.names = wanted;
    add.replaceChildren(...wanted.map((each) => make('button', '', '+ ' + each, `Add the axis ${each}`)));
  };
  const axisNames = () => {
    const inPrompt = [...(typed('prompt') || '').matchAll(/\{\{\s*([^\W\d]\w*)\s*\}\}/gu)].map(([, name]) => name);
    return [...new Set([...inPrompt, 'model', 'size', 'quality', 'take'])];
  };
  const offeredFor = (name) => ({
    model: all('.beluga-model option').map((each) => each.value),
    size: all('.beluga-sizes label:not(.widget-label)').map((each) => each.textContent.trim()).filter((each) => each !== 'default'),
    quality: ['standard', 'hd'],
  })[name] || [];
  const drawAxes = () => {
    const holder = root.querySelector('.beluga-chips'), text = typed('axes');
    if (!holder || text === undefined) return;
    if (!holder.firstChild || holder.dataset.text !== text) {
      const lines = text.split('\n').filter((line) => line.trim());
      const axes = lines.map((line) => /^([^:]*):?(.*)$/.exec(line)).map(([, name, values]) => ({name: name.trim(), values: split(values)}));
      const names = make('datalist');
      names.id = root.belugaName;
      holder.replaceChildren(...axes.map(makeAxis), make('div', 'add'), names);
      holder.dataset.text = text;
    }
    nameAxes(holder);
  };
  const writeAxes = () => {
    const holder = root.querySelector('.beluga-chips'), text = root.querySelector('.beluga-axes textarea');
    const lines = [...holder.querySelectorAll('.beluga-axis')].map((axis) => [nameOf(axis), valuesOf(axis).map(quote).join(', ')]);
    text.value = holder.dataset.text = lines.filter(([name, values]) => name && (values || name[0] === '@')).map(([name, values]) => values ? `${name}: ${values}` : name).join('\n');
    text.dispatchEvent(new Event('input', {bubbles: true}));
    nameAxes(holder);
  };
  const takeValues = (axis) => {
    const field = fieldOf(axis), values = split(field.value);
    field.value = '';
    addValues(axis, values);
    if (values.length) writeAxes();
  };
  const inAxis = (event) => {
    const axis = event.target.closest?.('.beluga-axis');
    return {axis, isName: event.target.matches?.('.beluga-axis-name'), isValue: event.target.matches?.('.beluga-axis-value')};
  };
  root.addEventListener('input', (event) => {
    const {axis, isName, isValue} = inAxis(event), value = event.target.value;
    if (isName && /[:=,]$/.test(value)) {
      event.target.value = value.slice(0, -1);
      fieldOf(axis).focus();
    }
    if (isValue && !event.isComposing) {
      const chosen = !event.inputType?.startsWith('insertT') && offeredFor(nameOf(axis)).includes(value);
      // A comma in quotes that are still open is a part of the value.
      if (chosen || (value.includes(',') && !/^\s*"(?:[^"]|"")*$/.test(value))) takeValues(axis);
    }
    if (event.target.closest('.beluga-axes, .beluga-prompt')) drawAxes();
  });
  root.addEventListener('change', (event) => {
    const {axis, isName, isValue} = inAxis(event);
    if (isValue) takeValues(axis);
    if (isName) writeAxes();
  });
  root.addEventListener('focusin', (event) => {
    const {axis, isName} = inAxis(event);
    if (!axis) return;
    const given = isName ? axisNames() : offeredFor(nameOf(axis)).filter((each) => !valuesOf(axis).includes(each));
    root.querySelector('.beluga-chips > datalist').replaceChildren(...given.map((each) => Object.assign(make('option'), {value: each})));
  });
  root.addEventListener('keydown', (event) => {
    const {axis, isName, isValue} = inAxis(event);
    if ((!isName && !isValue) || event.isComposing) return;
    if (event.key === 'Enter') {
      event.preventDefault();
      if (isName) fieldOf(axis).focus();
      else takeValues(axis);
    }
    if (event.key === 'Backspace' && isValue && !event.target.value) {
      [...axis.querySelectorAll('.beluga-chip')].at(-1)?.remove();
      writeAxes();
    }
  });
  root.addEventListener('click', (event) => {
    const button = event.target.closest('.beluga-chips button'), holder = button?.closest('.beluga-chips');
    if (!button) return;
    let axis = button.closest('.beluga-axis');
    if (!axis) {
      axis = [...holder.querySelectorAll('.beluga-axis')].at(-1);
      axis.querySelector('.beluga-axis-name').value = button.textContent.slice(2);
      fieldOf(axis).focus();
    } else if (button.parentElement === axis) {
      (axis.nextElementSibling.querySelector('input') || holder.querySelector('input')).focus();
      axis.remove();
    } else {
      const chip = button.parentElement;
      (chip.nextElementSibling?.querySelector('button') || fieldOf(axis)).focus();
      chip.remove();
    }
    writeAxes();
  });

  // Copying fails where the page may not use the clipboard.
  const copy = async (text) => {
    try { await navigator.clipboard.writeText(text); }
    catch { /* the text stands in a field, to be copied by hand */ }
  };

  // Insert a cell below the panel. Newer notebooks have no API that is reachable from here, but a key B, and a paste event.
  const insert = async (text) => {
    if (classic) return classic.insert_cell_below('code', classic.get_cell_elements().index(root.closest('.cell'))).set_text(text);
    const cell = root.closest('.jp-Cell');
    const notebook = cell?.closest('.jp-Notebook');
    if (!notebook) return;
    const before = new Set(notebook.querySelectorAll('.jp-Cell'));
    cell.querySelector('.jp-InputPrompt')?.click();
    cell.focus();
    document.activeElement.dispatchEvent(new KeyboardEvent('keydown', {key: 'b', code: 'KeyB', keyCode: 66, bubbles: true, cancelable: true}));
    for (let turn = 0; turn < 40; turn++) {
      await new Promise((done) => setTimeout(done, 50));
      const fresh = [...notebook.querySelectorAll('.jp-Cell')].filter((each) => !before.has(each));
      const editor = fresh.length === 1 && fresh[0].querySelector('.cm-content');
      if (editor) {
        const data = new DataTransfer();
        data.setData('text/plain', text);
        editor.focus();
        const paste = new ClipboardEvent('paste', {bubbles: true, cancelable: true});
        Object.defineProperty(paste, 'clipboardData', {value: data});  // Not every browser takes it as an option.
        editor.dispatchEvent(paste);
        fresh[0].scrollIntoView({block: 'nearest'});
        return;
      }
    }
  };

  root.addEventListener('click', (event) => {
    const button = event.target.closest('button');
    if (button?.classList.contains('beluga-copy')) copy(root.querySelector('.beluga-words textarea').value);
    if (button?.classList.contains('beluga-insert-grid')) insert(root.querySelector('.beluga-grid-cell textarea').value);
  });
}
