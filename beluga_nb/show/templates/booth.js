const booth = this.closest('.beluga-booth');
if (booth && !booth.belugaReady) {
  booth.belugaReady = true;
  saveByKeys(booth);
}
