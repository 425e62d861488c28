// @ts-check
// In a page of test/page: races a variant on Web Workers, as `race` of the window. Comes from a server, for `import` in what Playwright evaluates
// would be rewritten by vitest.
import { catalogue, racerOf, stress, variantsOf } from 'pagewalk';

/**
 * @param {{ name: string, id: string, seed: number, script: string, budgetMs: number }} what
 */
async function race({ name, id, seed, script, budgetMs }) {
  const scenario = (await catalogue()).find((entry) => entry.name === name)?.scenario;
  const found = scenario && variantsOf(scenario).find((each) => each.id === id);
  if (scenario === undefined || found === undefined) throw new Error(`${name} has no variant ${id}`);
  const spawn = () => racerOf(new Worker(script, { type: 'module' }));
  return stress(scenario, { variant: found.variant, spawn, budgetMs, seed });
}

Object.assign(globalThis, { race });
