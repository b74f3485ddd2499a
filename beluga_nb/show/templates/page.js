// The filter of a grid's page, and the columns that can be hidden.
const all = (parent, selector) => [...parent.querySelectorAll(selector)];
const search = document.querySelector('input[type=search]');
const boxes = all(document, 'input[data-axis]');

// `data-of` names the labels that an element belongs to, each as "axis:number".
function filter() {
  const off = new Set(boxes.filter(box => !box.checked).map(box => box.dataset.axis + ':' + box.value));
  const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
  const isHidden = element => (element.dataset.of || '').split(' ').some(label => off.has(label));
  for (const section of all(document, 'section')) {
    for (const head of all(section, 'thead th')) head.hidden = isHidden(head);
    for (const row of all(section, 'tbody tr')) {
      let visible = 0;
      for (const cell of all(row, 'td')) {
        cell.hidden = isHidden(cell);
        const text = (row.dataset.text + ' ' + cell.dataset.text).toLowerCase();
        const matches = words.every(word => text.includes(word));
        // Dim a cell instead of hiding it: the table keeps its shape.
        cell.style.opacity = matches ? '' : '.12';
        visible += !cell.hidden && matches;
      }
      row.hidden = isHidden(row) || !visible;
    }
    section.hidden = isHidden(section) || all(section, 'tbody tr').every(row => row.hidden);
  }
}
search.addEventListener('input', filter);
boxes.forEach(box => box.addEventListener('change', filter));
filter();
