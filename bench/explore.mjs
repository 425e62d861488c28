// Question: what does a transition of the explorer cost, and how much of the state space does the reduction leave? ×1.00: without reduction.
//
// Three variants of the catalogue, and a scenario of any size: k CPUs, half of which store to one of n pages each while the others
// clean all n PTEs under their locks and flush. Every sample explores anew, on a fresh machine (which is not timed): what the core does is
// learnt, and then all states are searched.

import { readFileSync } from 'node:fs';
import { load } from './machine.mjs';
import { table } from './table.mjs';

const PER_SECOND = 1e6;
const BYTES_A_STATE = 32;
const REMOVED = 0.9;
const CPUS = 4;
const PAGES = 3;

const CATALOGUE = [
  ['soft-dirty-flush-elided', 'D0'],
  ['wrprotect-against-mkwrite', 'A0'],
  ['reclaim-deferred-flush', 'K0'],
];

export const explore = {
  name: 'explore',
  leafMib: 1,
  async *tables(_machine, options) {
    const explorer = await load('./explorer.ts');
    for (const [name, id] of CATALOGUE) {
      const text = readFileSync(new URL(`../src/scenarios/${name}.litmus`, import.meta.url), 'utf8');
      yield await exploration(explorer, options, { title: `${name} ${id}`, text, id, parameters: 'catalogue' });
    }
    const text = cleanAndWrite(CPUS, PAGES);
    const parameters = `${CPUS} CPUs, ${PAGES} PTEs`;
    yield await exploration(explorer, options, { title: 'clean and write', text, parameters, isJudged: true });
  },
};

/** The litmus text: the first half of `cpus` CPUs write, the others clean. */
function cleanAndWrite(cpus, pages) {
  const names = Array.from({ length: pages }, (_, page) => `x${page}`);
  const writers = Math.ceil(cpus / 2);
  const programs = Array.from({ length: cpus }, (_, cpu) => {
    const own = names[cpu % pages];
    if (cpu < writers) return `P${cpu} user A { *${own} = ${cpu + 1}; on fault ${own} { retry(${own}); } }`;
    const all = names.map((_, n) => `clean(${names[(cpu + n) % pages]});`);
    return `P${cpu} { ${all.join(' ')} flush_tlb_mm(A); }`;
  });
  return `litmus clean-and-write "${cpus} CPUs clean and write ${pages} PTEs."
    init { mm A; ${names.map((name) => `frame F${name} = 0; page ${name} in A -> F${name} : W A D;`).join(' ')} }
    function retry(page p) { spin_lock(ptl(p)); spin_unlock(ptl(p)); }
    function clean(page p) {
      spin_lock(ptl(p));
      pte = ptep_get(p);
      if (pte_dirty(pte)) {
        pte = ptep_modify_prot_start(p);
        ptep_modify_prot_commit(p, pte_mkclean(pte));
      }
      spin_unlock(ptl(p));
    }
    ${programs.join('\n')}`;
}

async function exploration(explorer, options, { title, text, id, parameters, isJudged = false }) {
  const rows = [];
  const results = [];
  for (const reduce of [false, true]) {
    const start = await explorer.prepare(text, id, { reduce, shortest: false });
    const result = start()();
    if (!result.exhaustive) throw new Error(`${title}: not exhaustive`);
    results.push(result);
    let run;
    rows.push({
      name: reduce ? 'with reduction' : 'without',
      count: result.transitions,
      before: () => {
        run = start();
      },
      run: () => {
        const { transitions } = run();
        if (transitions !== result.transitions) throw new Error(`${transitions} instead of ${result.transitions}`);
      },
    });
  }
  const [full, reduced] = results;
  const removed = 1 - reduced.transitions / full.transitions;
  return table(options, {
    title: `exploration, ${title}`,
    rows,
    parameters: `${parameters}; ns a transition`,
    judge: (measured) => (isJudged ? verdicts(measured, results, removed) : []),
    notes: [
      ...results.map(({ states, transitions, visitedBytes }, n) => {
        const bytes = (visitedBytes / states).toFixed(1);
        return `${rows[n].name}: ${count(states)} states, ${count(transitions)} transitions, ${bytes} bytes of visited table a state`;
      }),
      `${(removed * 100).toFixed(1)} % of the transitions removed`,
    ],
  });
}

function verdicts([full, reduced], results, removed) {
  const fastest = Math.min(full.nanoseconds, reduced.nanoseconds);
  const bytes = Math.max(...results.map(({ states, visitedBytes }) => visitedBytes / states));
  return [
    {
      text: `${(1e3 / full.nanoseconds).toFixed(2)} million transitions a second without reduction, ${(1e3 / reduced.nanoseconds).toFixed(2)} with`,
      unit: '',
      ratio: (fastest * PER_SECOND) / 1e9,
      atMost: 1,
      ok: fastest * PER_SECOND <= 1e9,
    },
    {
      text: 'bytes of visited table a state',
      unit: '',
      ratio: bytes,
      atMost: BYTES_A_STATE,
      ok: bytes <= BYTES_A_STATE,
    },
    {
      text: 'transitions that the reduction leaves',
      unit: '',
      ratio: 1 - removed,
      atMost: 1 - REMOVED,
      ok: removed >= REMOVED,
    },
  ];
}

function count(n) {
  return n.toLocaleString('en');
}
