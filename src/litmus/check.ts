import type { ScenarioFile } from './ast.ts';
import type { Errors } from './errors.ts';

export function check(_file: ScenarioFile, _errors: Errors): void {}
