/** Errors of beluga_nb: a button beside each suggestion, which copies it, and lines that break between words. */

import { Clipboard } from '@jupyterlab/apputils';
import { checkIcon, copyIcon } from '@jupyterlab/ui-components';

const ERROR = 'application/vnd.jupyter.error';
/** The type of the text of an error, as which JupyterLab shows it. */
const STDERR = 'application/vnd.jupyter.stderr';

/** Let the renderer of errors adorn ours; all other text is rendered as before. */
export function adornErrors(registry) {
  const factory = registry.getFactory(STDERR);
  const createRenderer = options => {
    const renderer = factory.createRenderer(options);
    const renderModel = renderer.renderModel.bind(renderer);
    renderer.renderModel = async (model, ...rest) => {
      await renderModel(model, ...rest);
      adorn(renderer.node.querySelector('pre'), model.data[ERROR]);
    };
    return renderer;
  };
  if (factory) {
    registry.addFactory({ ...factory, mimeTypes: [STDERR], createRenderer });
  }
}

/** Add to the text of an error, if it is one of ours: errors of others do not begin in bold. */
function adorn(pre, error) {
  const [title, hint = '', ...more] = error?.traceback ?? [];
  if (!pre || more.length || !title?.startsWith(`\x1b[1m${error.ename}: `)) {
    return;
  }
  // JupyterLab breaks lines between any two letters, and the badge is higher than its line, which would scroll.
  Object.assign(pre.style, { wordBreak: 'normal', overflowWrap: 'anywhere', paddingBottom: '.2em' });
  for (const { text, end } of suggestions(title, hint)) {
    let length = 0;
    const last = [...pre.childNodes].find(node => (length += node.textContent.length) >= end);
    last?.after(copyButton(text));
  }
}

/** What the second line suggests to type, which is bold, and where that ends in the text of both lines. */
function suggestions(title, hint) {
  let end = title.replace(/\x1b\[[\d;]*m/g, '').length + 1;
  return [...hint.matchAll(/(?:\x1b\[([\d;]*)m)?([^\x1b]+)/g)]
    .map(([, style, text]) => ({ style, text, end: (end += text.length) }))
    .filter(({ style }) => style === '1');
}

function copyButton(text) {
  const button = document.createElement('button');
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
