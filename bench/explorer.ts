// The explorer, made ready for timing: a bundle of the sources, as all of bench/ uses them.

import { compileCore } from '../src/core/compile.ts';
import { type ExploreOptions, type ExploreResult, Explorer } from '../src/explore/explore.ts';
import { Machine } from '../src/explore/machine.ts';
import { Run } from '../src/explore/run.ts';
import { compile, variantsOf } from '../src/litmus/index.ts';
import { parseScenario } from '../src/litmus/parse.ts';

/** What makes a machine for the variant `id` of a litmus text (the first one without), and returns what explores on it. */
export async function prepare(
  text: string,
  id: string | undefined,
  options: ExploreOptions,
): Promise<() => () => ExploreResult> {
  const parsed = parseScenario(text);
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.errors));
  const named = variantsOf(parsed.scenario).find((each) => id === undefined || each.id === id);
  if (named === undefined) throw new Error(`no variant ${id}`);
  const program = compile(parsed.scenario, named.variant);
  const module = await compileCore('explore');
  return () => {
    const machine = new Machine(program, module);
    const explorer = new Explorer(machine, () => new Run(new Machine(program, module, true)), options);
    return () => explorer.run();
  };
}
