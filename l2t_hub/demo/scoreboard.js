// Sorts the table in place, so that the focus stays on the header that was pressed, and says which score was opened.
const number = (cell) => parseFloat(cell.dataset.value);
const compare = (a, b) => {
  const [x, y] = [number(a), number(b)];
  if (!Number.isNaN(x) && !Number.isNaN(y)) return x - y;
  return a.dataset.value < b.dataset.value ? -1 : a.dataset.value > b.dataset.value ? 1 : 0;
};
element.addEventListener('click', (event) => {
  const button = event.target.closest('button');
  if (!button || !element.contains(button)) return;
  if (button.dataset.phenomenon !== undefined) {
    document.body.dataset.opened = 'yes';
    trigger('open_cell', { model: button.dataset.model, phenomenon: button.dataset.phenomenon });
    return;
  }
  if (button.dataset.sort === undefined) return;
  const header = button.closest('th');
  const order = header.getAttribute('aria-sort') === 'ascending' ? 'descending' : 'ascending';
  for (const other of header.parentElement.children) other.setAttribute('aria-sort', 'none');
  header.setAttribute('aria-sort', order);
  const body = header.closest('table').tBodies[0];
  const rows = [...body.rows].sort((a, b) => {
    const place = compare(a.cells[header.cellIndex], b.cells[header.cellIndex]);
    return order === 'ascending' ? place : -place;
  });
  body.append(...rows);
  const said = element.querySelector('[data-sorted]');
  if (said) said.textContent = `Sorted by ${button.dataset.sort}, ${order}`;
  trigger('sort_by', { column: button.dataset.sort, order });
});
