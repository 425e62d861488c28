// Where a litmus program may go from each of its places.
//
// Guarantees: nothing is left out: a branch goes both ways, a user access may enter the fault handler, and the end of the handler leads to
// (or behind) every user access.

import * as ops from '../../assembly/litmus/ops_bits.ts';
import type { CpuProgram } from '../litmus/program.ts';

export interface Flow {
  readonly after: readonly (readonly number[])[];
  readonly before: readonly (readonly number[])[];
}

export function successorsOf({ code, handler }: CpuProgram): Flow {
  const accesses = code.flatMap(({ op }, place) => (isUserAccess(op) ? [place] : []));
  const after = code.map(({ op, c = 0 }, place) => {
    if (op === ops.OP_HALT) return [];
    if (op === ops.OP_JUMP) return [c];
    if (op === ops.OP_DRAIN) return [place, place + 1];
    if (op === ops.OP_IF_NOT || op === ops.OP_IF_ZERO) return [c, place + 1];
    if (op === ops.OP_RETRY) return accesses;
    if (op === ops.OP_GIVE_UP) return accesses.map((access) => access + 1);
    if (isUserAccess(op) && handler !== undefined) return [place + 1, handler];
    return [place + 1];
  });
  const before: number[][] = code.map(() => []);
  for (const [place, nexts] of after.entries()) for (const next of nexts) before[next]?.push(place);
  return { after, before };
}

function isUserAccess(op: number): boolean {
  return op >= ops.OP_USER_LOAD && op <= ops.OP_USER_FETCH;
}
