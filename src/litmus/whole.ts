// Whether a scenario calls whole functions of the core.

import type { ScenarioFile } from './ast.ts';
import { Environment, Names } from './names.ts';
import { operationsNamed } from './operations/index.ts';
import { callsOf } from './registers.ts';

export function callsWholeFunctions(file: ScenarioFile): boolean {
  const environment = new Environment(new Names(file));
  const bodies = [...file.programs.map(({ body }) => body), ...(file.afterwards ? [file.afterwards.body] : [])];
  return bodies.some((body) =>
    [...callsOf(file, body, environment)].some((name) => operationsNamed(name).some(({ whole }) => whole)),
  );
}
