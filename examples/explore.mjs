// @ts-check
// A race of two CPUs, written down and explored: does a store get lost if a flush comes after the upload?
import { catalogue, explore, parseScenario, replay, trace } from 'pagewalk';

const parsed = await parseScenario(`
litmus upload-before-flush
"A driver cleans a page, uploads it, and flushes; a CPU stores to the page through its TLB."

parameter flush = first | last

init {
  mm A;
  frame F = 0;
  page x in A -> F : W A D;
  tlb P0 : x W D;
  word copy = 0;
  word dirty = 0;
}

P0 user A {
  *x = 1;
  on fault x { bad_area(); }
}

P1 "driver" {
  spin_lock(ptl(x));
  pte = ptep_modify_prot_start(x);
  ptep_modify_prot_commit(x, pte_mkclean(pte));
  spin_unlock(ptl(x));
  if (flush == first) flush_tlb_page(x);
  copy = *kmap_local_page(F);
  if (flush == last) flush_tlb_page(x);
}

afterwards {
  dirty = pte_dirty(ptep_get(x));
  check UPLOAD(x, copy, dirty);
}
`);
if (!parsed.ok) throw new Error(parsed.errors.map(({ line, message }) => `${line}: ${message}`).join('\n'));
const { scenario } = parsed;

for (const flush of ['first', 'last']) {
  const { verdicts, states } = await explore(scenario, { variant: { flush } });
  const upload = verdicts.find(({ invariant }) => invariant === 'UPLOAD');
  console.log(`flush ${flush}: UPLOAD ${upload?.verdict} in ${states} states`);
  if (upload?.counterexample === undefined) continue;

  // The shortest interleaving that loses the store: the steps that changed something.
  const { steps } = await trace(scenario, upload.counterexample.schedule, { variant: { flush } });
  for (const { cpu, line, changes } of steps) {
    if (changes.length > 0) console.log(`  P${cpu}: ${line?.text}`);
  }
  // Its token repeats it, in any process.
  console.log('  replayed:', (await replay(scenario, upload.counterexample.token)).kind);
}

// The races of the kernel's mailing lists that come with the package.
const races = await catalogue();
console.log(`the catalogue begins with ${races[0]?.name}`);

/* Prints:
flush first: UPLOAD holds in 65 states
flush last: UPLOAD violated in 69 states
  P1: spin_lock(ptl(x))
  P1: pte = ptep_modify_prot_start(x)
  P1: ptep_modify_prot_commit(x, pte_mkclean(pte))
  P1: spin_unlock(ptl(x))
  P1: flush_tlb_page(x)
  P1: flush_tlb_page(x)
  P0: *x = 1
  P0: *x = 1
  P1: flush_tlb_page(x)
  replayed: reproduced
the catalogue begins with wrprotect-against-mkwrite
*/
