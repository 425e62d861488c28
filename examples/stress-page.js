// @ts-check
// Races a scenario of the catalogue on two Web Workers. `node examples/serve.js` serves the page.
import { catalogue, racerOf, stress } from 'pagewalk';

const form = /** @type {HTMLFormElement} */ (document.querySelector('form'));
const status = /** @type {HTMLElement} */ (document.querySelector('[role=status]'));
const rows = /** @type {HTMLElement} */ (document.querySelector('tbody'));
const races = await catalogue();
form['scenario'].append(...races.map(({ name }) => new Option(name, name, name === 'message-passing')));

// With a bundler: new Worker(new URL('./worker.js', import.meta.url), { type: 'module' }), where worker.js says import 'pagewalk/worker'.
const spawn = () => racerOf(new Worker(new URL('../build/worker.js', import.meta.url), { type: 'module' }));

form.addEventListener('submit', async (event) => {
  event.preventDefault();
  const race = races.find(({ name }) => name === form['scenario'].value);
  if (race === undefined) return;
  status.textContent = 'The race is on.';
  try {
    const { outcomes, executions, seconds } = await stress(race.scenario, { spawn, workers: 2, budgetMs: 1000 });
    status.textContent = `${executions.toLocaleString('en')} executions in ${seconds.toFixed(1)} s`;
    rows.replaceChildren(...outcomes.map(({ text, count, grade }) => row([text, count.toLocaleString('en'), grade])));
  } catch (error) {
    // A page that is not cross-origin isolated: the message says which headers it needs.
    status.textContent = error instanceof Error ? error.message : String(error);
  }
});

/** @param {string[]} texts */
function row(texts) {
  const row = document.createElement('tr');
  for (const text of texts) row.append(Object.assign(document.createElement('td'), { textContent: text }));
  return row;
}
