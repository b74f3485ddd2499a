const booth = this.closest('.beluga-booth');
if (booth && !booth.belugaReady) {
  booth.belugaReady = true;
  booth.setAttribute('role', 'region');
  booth.setAttribute('aria-label', 'Blind vote');
  saveByKeys(booth);
  const keys = () => booth.querySelector('.beluga-booth-keys input');
  // Nobody's code becomes answers: an editor or a field that holds text keeps the focus.
  const isWriting = () => {
    const active = document.activeElement, classic = active.closest('.CodeMirror')?.querySelector('.CodeMirror-code');
    const text = classic?.textContent ?? active.value ?? (active.isContentEditable ? active.textContent : '');
    return text.replaceAll('\u200b', '') !== '';
  };
  const seen = new IntersectionObserver((entries) => {
    if (!entries.some((entry) => entry.isIntersecting)) return;
    seen.disconnect();
    if (!isWriting()) keys().focus({preventScroll: true});
  });
  // The field may be drawn after this.
  const drawn = new MutationObserver(() => find());
  const find = () => keys() && (drawn.disconnect(), seen.observe(keys()));
  drawn.observe(booth, {childList: true, subtree: true});
  find();
  // After a click the keys go on; a finger would call up a keyboard.
  booth.addEventListener('click', (event) => event.pointerType !== 'touch' && event.target.closest('button') && keys()?.focus());
}
