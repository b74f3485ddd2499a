// What core widgets cannot do: names, keys, the clipboard. `this` is the panel's <style> element.
const root = this.closest('.beluga-panel');
if (root && !root.belugaReady) {
  root.belugaReady = true;
  const all = (selector) => [...root.querySelectorAll(selector)];
  const click = (selector) => root.querySelector(selector)?.click();

  // Accessible names and roles, which core widgets lack.
  const attribute = (element, name, value) => {
    if (element && element.getAttribute(name) !== value) element.setAttribute(name, value);
  };
  const name = () => {
    for (const tile of all('.beluga-tile')) {
      const button = tile.querySelector('button');
      attribute(tile.querySelector('img'), 'alt', '');
      attribute(button, 'aria-label', button?.title);
      attribute(button, 'aria-pressed', String(tile.classList.contains('beluga-chosen')));
    }
    for (const shown of all('.beluga-named')) {
      const image = shown.querySelector('img');
      attribute(image, 'alt', shown.querySelector('.beluga-alt')?.textContent || '');
    }
    for (const slider of all('.widget-slider')) {
      const label = slider.querySelector('.widget-label')?.textContent || '';
      attribute(slider.querySelector('[role=slider]'), 'aria-label', label);
      const readout = slider.querySelector('.widget-readout');
      attribute(readout, 'role', 'textbox');
      attribute(readout, 'aria-label', label + ' as a number');
    }
    for (const box of all('.beluga-sizes')) {
      attribute(box, 'role', 'radiogroup');
      attribute(box, 'aria-label', 'Size');
      for (const radio of box.querySelectorAll('input')) radio.name = root.belugaName;
    }
    for (const [selector, role] of [['.beluga-message', 'status'], ['.beluga-error', 'alert'], ['.beluga-work', 'status']])
      for (const element of all(selector)) attribute(element, 'role', role);
    for (const panel of all('.widget-tab-contents > *')) attribute(panel, 'role', 'tabpanel');
    for (const tab of all('.lm-TabBar-tab')) attribute(tab, 'aria-label', tab.textContent);
    attribute(root, 'role', 'region');
    attribute(root, 'aria-label', 'beluga_nb panel');
    for (const link of all('.beluga-download a:not([data-seen])')) {
      link.dataset.seen = 'yes';
      link.click();
    }
  };
  root.belugaName = 'size-' + Math.random().toString(36).slice(2);
  new MutationObserver(name).observe(root, {childList: true, subtree: true, attributes: true, attributeFilter: ['class', 'title'], characterData: true});
  name();

  // A click on Generate waits until the kernel has received all text that was typed before it.
  const typed = (name) => root.querySelector(`.beluga-${name} :is(textarea, input)`)?.value;
  const received = (name) => root.querySelector(`.beluga-received-${name} textarea`)?.value;
  const pending = () => ['prompt', 'take'].some((name) => typed(name) !== received(name));
  let waiting = 0;
  root.addEventListener('click', (event) => {
    const button = event.target.closest('.beluga-generate');
    if (!button || !pending()) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    clearInterval(waiting);
    waiting = setInterval(() => {
      if (root.isConnected && pending()) return;
      clearInterval(waiting);
      if (root.isConnected) button.click();
    }, 20);
  }, true);

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

  // Ctrl or Cmd with Enter generates; arrows move through the tiles.
  root.addEventListener('keydown', (event) => {
    if (event.key === 'Enter' && (event.ctrlKey || event.metaKey) && event.target.closest('.beluga-form')) {
      event.preventDefault();
      event.stopPropagation();
      event.target.dispatchEvent(new Event('input', {bubbles: true}));
      click('.beluga-generate');
    }
    const tiles = event.target.closest('.beluga-tiles');
    const step = {ArrowRight: 1, ArrowLeft: -1, ArrowDown: 'down', ArrowUp: 'up', Home: 'home', End: 'end'}[event.key];
    if (tiles && step) {
      const buttons = [...tiles.querySelectorAll('button')];
      const columns = getComputedStyle(tiles).gridTemplateColumns.split(' ').length;
      const here = buttons.indexOf(event.target.closest('button'));
      const next = {down: here + columns, up: here - columns, home: 0, end: buttons.length - 1}[step] ?? here + step;
      event.preventDefault();
      event.stopPropagation();
      buttons[Math.max(0, Math.min(buttons.length - 1, next))]?.focus();
    }
  }, true);

  // In the comparison the wheel zooms, and dragging pans or moves the curtain. Both send keys to the sliders
  // above, so that widgets and kernel stay in step.
  const press = (name, times) => {
    const handle = all('.beluga-sliders [role=slider]').find((each) => each.getAttribute('aria-label') === name);
    const key = times > 0 ? 'ArrowRight' : 'ArrowLeft';
    claim(handle, true);
    for (let time = 0; time < Math.abs(times); time++)
      handle?.dispatchEvent(new KeyboardEvent('keydown', {key, bubbles: true, cancelable: true}));
  };
  root.addEventListener('wheel', (event) => {
    if (!event.target.closest('.beluga-comparison')) return;
    event.preventDefault();
    press('Zoom', event.deltaY < 0 ? 3 : -3);
  }, {passive: false});
  let held = null;
  root.addEventListener('pointerdown', (event) => {
    const image = event.target.closest('.beluga-comparison img');
    if (!image) return;
    event.preventDefault();
    held = {x: event.clientX, y: event.clientY, width: image.clientWidth, height: image.clientHeight, image};
    image.setPointerCapture(event.pointerId);
  });
  root.addEventListener('pointermove', (event) => {
    if (!held) return;
    const zoom = Number(root.querySelector('.beluga-zoom .widget-readout').textContent);
    const curtain = all('.beluga-split').some((each) => each.offsetParent) && zoom === 1;
    const scale = curtain ? -100 : 100 / Math.max(zoom - 1, 0.1);
    const across = Math.trunc((held.x - event.clientX) / held.width * scale);
    const down = curtain ? 0 : Math.trunc((held.y - event.clientY) / held.height * scale);
    if (across) { press(curtain ? 'Split' : 'Across', across); held.x = event.clientX; }
    if (down) { press('Down', down); held.y = event.clientY; }
  });
  for (const end of ['pointerup', 'pointercancel']) root.addEventListener(end, () => { held = null; });

  // Copying fails where the page may not use the clipboard.
  const copy = async (text) => {
    try { await navigator.clipboard.writeText(text); }
    catch { /* the text stands in a field, to be copied by hand */ }
  };

  // Insert a cell below the panel by the notebook's own key B and a paste event: no API is reachable from here.
  const insert = async (text) => {
    const cell = root.closest('.jp-Cell');
    const notebook = cell?.closest('.jp-Notebook');
    if (!notebook) return false;
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
        editor.dispatchEvent(new ClipboardEvent('paste', {clipboardData: data, bubbles: true, cancelable: true}));
        fresh[0].scrollIntoView({block: 'nearest'});
        return true;
      }
    }
    return false;
  };

  root.addEventListener('click', (event) => {
    const button = event.target.closest('button');
    if (button?.classList.contains('beluga-copy')) copy(root.querySelector('.beluga-words textarea').value);
    if (button?.classList.contains('beluga-insert')) insert(root.querySelector('.beluga-cell textarea').value);
  });
}
