// The lightbox: one for all pictures of a page, whether in outputs of a notebook or on the page of `to_html`.
// What it shows of a picture comes from the page, as text or as cloned nodes.
(() => {
  const PICTURES = '[data-beluga] img[data-cell]';

  // Without a script they are plain pictures, so it is the script that makes them buttons.
  document.querySelectorAll(PICTURES).forEach(image => {
    image.style.cursor = 'zoom-in';
    if (image.closest('summary')) return;
    image.tabIndex = 0;
    image.role = 'button';
  });
  // Every output has this script, and the first one that runs serves them all.
  if (window.belugaLightbox) return;
  window.belugaLightbox = true;

  const dialog = document.createElement('dialog');
  dialog.className = 'beluga-lightbox';
  dialog.tabIndex = -1;
  dialog.innerHTML = `<style>
.beluga-lightbox{
width:100%;height:100%;max-width:none;max-height:none;margin:0;padding:0;border:0;outline:0;
background:#131316;color:#eee;font:14px/1.5 system-ui;overflow-wrap:anywhere;
&[open]{display:grid;grid:minmax(0,1fr)/minmax(0,1fr) 320px}
&>div{display:grid;grid:minmax(0,1fr)/56px minmax(0,1fr) 56px;place-items:center;padding:20px 0}
& img{grid-area:1/2;max-width:100%;max-height:100%}
& aside{display:grid;grid:auto minmax(0,max-content)/auto 1fr;align-content:start;justify-items:start;padding:20px;background:#1e1e22}
& :is(p,section){grid-column:1/3;overflow:auto}
& p{margin:0 40px 20px 0;color:#bbb}
& section>div{padding:0 0 8px!important}
& section>:first-child{font-size:16px}
& span{display:block;font-size:12px;color:#bbb;opacity:1!important}
& :is(button,a){all:unset;cursor:pointer;border:1px solid #888;border-radius:6px;padding:4px 12px;margin:8px 8px 0 0}
& [aria-label]{border:0;margin:0;padding:8px 16px;font-size:26px;line-height:1}
& :is(button,a):hover{background:#444}
& :focus-visible{outline:2px solid #8af}
& [hidden]{display:none}
&>button{position:absolute;top:8px;right:4px}
@media (max-width:760px){&[open]{grid:minmax(0,3fr) minmax(0,2fr)/100%}}
}
</style><div><button aria-label="Previous picture">‹</button><button aria-label="Next picture">›</button></div>
<aside><p role="status"></p><section tabindex="0"></section><button>Copy as cell</button><a>Download</a></aside>
<button aria-label="Close">×</button>`;
  const [previous, next, copy, close] = dialog.querySelectorAll('button');
  const [stage, note, recipe, link] =
    ['div', 'p', 'section', 'a'].map(name => dialog.querySelector(name));
  const large = new Image();
  previous.after(large);
  let at, shared, opener, pictures;

  const show = step => {
    at = (at + step + pictures.length) % pictures.length;
    const {image, lines} = pictures[at];
    const place = pictures[1] ? `${at + 1} of ${pictures.length} · ` : '';
    large.onload = () => note.textContent = `${place}shown at ${large.naturalWidth} × ${large.naturalHeight}`;
    large.src = link.href = image.src;
    dialog.ariaLabel = large.alt = image.alt;
    recipe.replaceChildren(...[shared, lines].flatMap(each => each ? [...each.cloneNode(true).childNodes] : []));
    link.download = (image.alt.match(/[\p{L}\p{N}]+/gu) || ['picture']).slice(0, 9).join('-')
      + '.' + image.src.match(/\.(\w+)$|image.(\w+);/)?.slice(1).join('');
    copy.hidden = !image.dataset.cell;
  };

  const open = image => {
    const group = image.closest('[data-beluga]'), recipes = group.querySelectorAll('[data-recipe]');
    shared = group.querySelector('[data-shared]');
    pictures = [...group.querySelectorAll('img[data-cell]')].map((image, number) => ({image, lines: recipes[number]}))
      .filter(each => each.image.getClientRects().length);
    at = pictures.findIndex(each => each.image === image);
    opener = image.closest('summary') || image;
    previous.hidden = next.hidden = !pictures[1];
    // A frame may be as high as its whole notebook, where the dialog belongs to the picture, or as low as one output.
    dialog.style = innerHeight > 1.5 * screen.height
      ? `height:${screen.height * .7}px;top:${Math.max(0, image.getBoundingClientRect().top - 40)}px` : '';
    if (self !== top && innerHeight < 500) document.body.style.minHeight = '600px';
    document.body.append(dialog);
    dialog.open = false;
    dialog.showModal();
    dialog.focus({preventScroll: true});
    show(0);
  };

  // The page has the dialog only while that is open. If the page removes it, the dialog stays `open`.
  const answer = event => {
    const {target} = event;
    const image = target.closest?.(PICTURES) || target.closest?.('summary')?.querySelector(PICTURES);
    if (!image || dialog.isConnected) return;
    event.preventDefault();
    event.stopPropagation();
    open(image);
  };

  // Jupyter hears keys at the document, on their way down. A listener on the window hears them before.
  addEventListener('click', answer, true);
  addEventListener('keydown', event => {
    const {key, target} = event;
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    if (!dialog.isConnected) return /^( |Enter)$/.test(key) && answer(event);
    event.stopPropagation();
    const step = {ArrowLeft: -1, ArrowRight: 1}[key];
    if (step) show(step);
    // No key scrolls what lies below the dialog.
    if (step || /^(Arrow|Page|Home|End)/.test(key) && target !== recipe || key === ' ' && target === dialog)
      event.preventDefault();
  }, true);
  dialog.onwheel = event => recipe.contains(event.target) && recipe.scrollHeight > recipe.clientHeight || event.preventDefault();
  dialog.onclick = ({target}) => {
    if ([dialog, stage].includes(target)) dialog.close();
  };
  dialog.onclose = () => {
    dialog.remove();
    document.body.style.minHeight = '';
    opener.focus({preventScroll: true});
  };
  previous.onclick = () => show(-1);
  next.onclick = () => show(1);
  close.onclick = () => dialog.close();
  // Where there is no HTTPS, and in most frames, a page has no `navigator.clipboard`.
  copy.onclick = () => {
    const area = document.createElement('textarea');
    area.value = pictures[at].image.dataset.cell;
    dialog.append(area);
    area.select();
    note.textContent = document.execCommand('copy') ? 'Copied' : 'Copying failed';
    area.remove();
    copy.focus();
  };
})();
