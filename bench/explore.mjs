// Question: what does a transition of the explorer cost, and how much of the state space does the reduction leave? ×1.00: without reduction.
//
// Three variants of the catalogue, and a scenario of any size: k CPUs, half of which store to one of n pages each while the others
// clean all n PTEs under their locks and flush. And what it saves to take equal CPUs for one another: one that stores, and k - 1 that all clean the
// same pages, without a flush, for who flushes is told apart (src/explore/symmetry.ts). Every sample explores anew, on a fresh machine (which
// is not timed): what the core does is learnt, and then all states are searched.

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
    const searches = [
      ['CPUs told apart', { reduce: true, symmetry: false }],
      ['equal CPUs', { reduce: true }],
    ];
    const equal = cleanAlike(CPUS, PAGES);
    yield await exploration(explorer, options, { title: 'clean alike', text: equal, parameters, searches });
  },
};

/** The litmus text: the first half of `cpus` CPUs write, the others clean. */
function cleanAndWrite(cpus, pages) {
  const names = namesOf(pages);
  const writers = Math.ceil(cpus / 2);
  const programs = Array.from({ length: cpus }, (_, cpu) => {
    const own = names[cpu % pages];
    if (cpu < writers) return `P${cpu} user A { *${own} = ${cpu + 1}; on fault ${own} { retry(${own}); } }`;
    const all = names.map((_, n) => `clean(${names[(cpu + n) % pages]});`);
    return `P${cpu} { ${all.join(' ')} flush_tlb_mm(A); }`;
  });
  return scenario('clean-and-write', names, programs);
}

/** The litmus text: one CPU writes to the first of the pages, all others clean them in the same order. */
function cleanAlike(cpus, pages) {
  const names = namesOf(pages);
  const all = names.map((name) => `clean(${name});`).join(' ');
  const cleaners = Array.from({ length: cpus - 1 }, (_, n) => `P${n + 1} { ${all} }`);
  const writer = `P0 user A { *x0 = 1; on fault x0 { retry(x0); } }`;
  return scenario('clean-alike', names, [writer, ...cleaners]);
}

function namesOf(pages) {
  return Array.from({ length: pages }, (_, page) => `x${page}`);
}

function scenario(title, names, programs) {
  return `litmus ${title} "CPUs clean and write PTEs."
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

/** By partial order. */
const REDUCTION = [
  ['without', { reduce: false }],
  ['with reduction', { reduce: true }],
];

/** `searches`: two ways to search, with their names; the first is the ×1.00 row. */
async function exploration(explorer, options, { title, text, id, parameters, isJudged = false, searches = REDUCTION }) {
  const rows = [];
  const results = [];
  for (const [name, search] of searches) {
    const start = await explorer.prepare(text, id, { ...search, shortest: false });
    const result = start()();
    if (!result.exhaustive) throw new Error(`${title}: not exhaustive`);
    results.push(result);
    let run;
    rows.push({
      name,
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
