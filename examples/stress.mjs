// @ts-check
// A race on real threads: two workers run it a hundred thousand times and more, and nothing comes out that the explorer did not find.
import { Worker } from 'node:worker_threads';
import { agreementOf, catalogue, explore, racerOf, stress } from 'pagewalk';

const race = (await catalogue()).find(({ name }) => name === 'message-passing')?.scenario;
if (race === undefined) throw new Error('the catalogue has no such race');

const script = new URL(import.meta.resolve('pagewalk/worker'));
const raced = await stress(race, { spawn: () => racerOf(new Worker(script)), workers: 2, budgetMs: 500 });

// How often each came out differs from run to run: see `count`.
const forbidden = raced.outcomes.filter(({ grade }) => grade === 'forbidden');
console.log('threads ran it:', raced.executions > 0);
console.log('outcomes that the scenario forbids:', forbidden.length);

// Every interleaving, and whether threads showed anything else.
const explored = await explore(race);
const { disagreements } = agreementOf([raced], explored);
console.log('outcomes that there are:', explored.outcomes.map(({ text }) => text).join(' | '));
console.log('seen, and not among them:', disagreements.length);

/* Prints:
threads ran it: true
outcomes that the scenario forbids: 0
outcomes that there are: P1:r0=0 P1:r1=0 | P1:r0=0 P1:r1=1 | P1:r0=1 P1:r1=1
seen, and not among them: 0
*/
