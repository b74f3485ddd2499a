/** Errors of beluga_nb: a button beside each suggestion, which copies it. */

import { Clipboard } from '@jupyterlab/apputils';
import { checkIcon, copyIcon } from '@jupyterlab/ui-components';

const ERROR = 'application/vnd.jupyter.error';
/** The type of the text of an error, as which JupyterLab shows it. */
const STDERR = 'application/vnd.jupyter.stderr';

/** Let the renderer of errors add the buttons; all other text is rendered as before. */
export function addCopyButtons(registry) {
  const factory = registry.getFactory(STDERR);
  const createRenderer = options => {
    const renderer = factory.createRenderer(options);
    const renderModel = renderer.renderModel.bind(renderer);
    renderer.renderModel = async (model, ...rest) => {
      await renderModel(model, ...rest);
      addButtons(renderer.node.querySelector('pre'), model.data[ERROR]);
    };
    return renderer;
  };
  if (factory) {
    registry.addFactory({ ...factory, mimeTypes: [STDERR], createRenderer });
  }
}

function addButtons(pre, error) {
  for (const { text, end } of pre ? suggestions(error) : []) {
    let length = 0;
    const last = [...pre.childNodes].find(node => (length += node.textContent.length) >= end);
    last?.after(copyButton(text));
  }
}

/** What an error of ours suggests to type, and where it ends in the text: bold words of its second line. */
function suggestions(error) {
  const [title, hint, ...more] = error?.traceback ?? [];
  // Errors of others do not begin in bold.
  if (!hint || more.length || !title.startsWith(`\x1b[1m${error.ename}: `)) {
    return [];
  }
  let end = title.replace(/\x1b\[[\d;]*m/g, '').length + 1;
  return [...hint.matchAll(/(?:\x1b\[([\d;]*)m)?([^\x1b]+)/g)]
    .map(([, style, text]) => ({ style, text, end: (end += text.length) }))
    .filter(({ style }) => style === '1');
}

function copyButton(text) {
  const button = document.createElement('button');
  button.className = 'beluga-copy';
  button.style = 'background: none; border: 0; padding: 0 4px; cursor: pointer; line-height: 0; vertical-align: text-bottom';
  // Enter would edit the cell.
  button.dataset.lmSuppressShortcuts = 'true';
  const show = (icon, words) => {
    button.title = button.ariaLabel = words;
    button.replaceChildren(icon.element({ tag: 'span', width: '14px', height: '14px' }));
  };
  const reset = () => show(copyIcon, `Copy ${text}`);
  reset();
  button.onblur = button.onpointerleave = reset;
  button.onclick = () => {
    Clipboard.copyToSystem(text);
    show(checkIcon, 'Copied');
  };
  return button;
}
