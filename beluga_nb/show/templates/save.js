// Fields keep their keys to themselves, but everybody expects Ctrl or Cmd with S to save the notebook.
const saveByKeys = (root) => root.addEventListener('keydown', (event) => {
  const notebook = root.closest('.jp-Notebook'), classic = window.Jupyter?.notebook;
  if ((!notebook && !classic) || event.key.toLowerCase() !== 's' || !(event.ctrlKey || event.metaKey) || !event.isTrusted) return;
  event.preventDefault();
  event.stopPropagation();
  if (classic) return classic.save_checkpoint();
  const {ctrlKey, metaKey, shiftKey} = event;
  notebook.dispatchEvent(new KeyboardEvent('keydown', {key: 's', code: 'KeyS', keyCode: 83, ctrlKey, metaKey, shiftKey, bubbles: true, cancelable: true}));
}, true);
