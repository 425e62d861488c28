// What is right to read and wrong to mean: names, kinds, places, and paths.
//
// Guarantees: every variant of a scenario that passes compiles. Errors are found as far as they do not follow from each other: paths are
// judged only when all names are right.

import type { ScenarioFile } from '../ast.ts';
import type { Errors } from '../errors.ts';
import { Names } from '../names.ts';
import { checkCode } from './code.ts';
import { checkConclusions } from './conclusions.ts';
import { checkDeclarations } from './declarations.ts';
import { checkPaths } from './paths.ts';

export function check(file: ScenarioFile, errors: Errors): void {
  checkDeclarations(file, errors);
  if (!errors.isEmpty) return;
  const names = new Names(file);
  checkCode(file, names, errors);
  checkConclusions(file, names, errors);
  if (errors.isEmpty) checkPaths(file, names, errors);
}
