// Makes tokens of executions, and executions of tokens.
//
// Guarantees: a replay makes the same steps in the same order as the execution that the token was made of, or says at which step it cannot: it
// never looks for another way to the violation.

import type { LitmusProgram } from '../litmus/program.ts';
import { invariantsOf } from './invariants.ts';
import { type Place, Places } from './places.ts';
import { Run, type RunStep } from './run.ts';
import { Check, decodeToken, encodeToken, programId, scenarioId, type TokenContent } from './schedule.ts';
import { type Trace, Tracer } from './trace.ts';

export type Replay =
  /** The text is no token. */
  | { readonly kind: 'malformed'; readonly why: string }
  /** The token is of another scenario, or of another variant of this one. */
  | { readonly kind: 'foreign' }
  | {
      readonly kind: 'reproduced';
      readonly invariant: string;
      readonly trace: Trace;
      /** The program is not the one of which the token was made, but made the same steps. */
      readonly changed: boolean;
    }
  | {
      readonly kind: 'differs';
      /** Number of the first step that may be another, 1 for the first step of all; one more than there are: the end is another. */
      readonly step: number;
      readonly why: Difference;
      /** The steps before it. */
      readonly trace: Trace;
      readonly changed: boolean;
    };

export type Difference =
  | { readonly kind: 'no-cpu' }
  | { readonly kind: 'has-ended'; readonly cpu: string }
  /** The CPU is to go on and waits for something. */
  | { readonly kind: 'waits'; readonly cpu: string; readonly place: Place }
  | { readonly kind: 'no-choice'; readonly cpu: string }
  /** From that step on to `last`, the CPU accessed other things or in another manner. */
  | { readonly kind: 'other-accesses'; readonly cpu: string; readonly last: number }
  /** All is the same, but the invariant is not violated. */
  | { readonly kind: 'not-violated'; readonly invariant: string };

/** Runs what a token holds. The token itself says which invariant is to be violated. */
export async function replay(program: LitmusProgram, token: string): Promise<Replay> {
  const content = decodeToken(token);
  if ('malformed' in content) return { kind: 'malformed', why: content.malformed };
  if (content.scenario !== scenarioId(program.name, program.variant)) return { kind: 'foreign' };
  return replayOn(await Run.create(program), content);
}

/** As above, on a run at its start. */
export function replayOn(run: Run, content: TokenContent): Replay {
  const tracer = new Tracer(run);
  const changed = content.program !== programId(run.program);
  const places = new Places(run.machine);
  const differs = (step: number, why: Difference): Replay => ({
    kind: 'differs',
    step,
    why,
    trace: tracer.trace(),
    changed,
  });
  for (const [n, { cpu, points, choices }] of content.schedule.entries()) {
    const first = run.steps.length;
    const name = run.machine.cpus[cpu]?.program.name;
    if (name === undefined) return differs(first + 1, { kind: 'no-cpu' });
    let chosen = 0;
    for (let k = 0; k < points; k++) {
      const step = run.steps.length + 1;
      if (run.hasEnded(cpu)) return differs(step, { kind: 'has-ended', cpu: name });
      const { address, choices: alternatives } = run.stand(cpu);
      if (!run.mayRun(cpu)) return differs(step, { kind: 'waits', cpu: name, place: places.at(address) });
      const choice = alternatives > 0 ? choices[chosen++] : 0;
      if (choice === undefined || choice >= Math.max(1, alternatives)) {
        return differs(step, { kind: 'no-choice', cpu: name });
      }
      tracer.step(cpu, choice);
    }
    if (checkOf(places, run.steps.slice(first)) !== content.checks[n] || chosen < choices.length) {
      return differs(first + 1, { kind: 'other-accesses', cpu: name, last: run.steps.length });
    }
  }
  const invariant = invariantsOf(run.program).find(({ number }) => number === content.invariant)?.name;
  if (!run.violates(content.invariant)) {
    const why = { kind: 'not-violated', invariant: invariant ?? `number ${content.invariant}` } as const;
    return differs(run.steps.length + 1, why);
  }
  return { kind: 'reproduced', invariant: invariant ?? '', trace: tracer.trace(), changed };
}

/** The token of an execution, which `run` has just made. */
export function tokenOf(run: Run, invariant: number): string {
  const { program } = run;
  const places = new Places(run.machine);
  const schedule = run.schedule();
  let at = 0;
  const checks = schedule.map(({ points }) => {
    at += points;
    return checkOf(places, run.steps.slice(at - points, at));
  });
  return encodeToken({
    scenario: scenarioId(program.name, program.variant),
    program: programId(program),
    invariant,
    cpus: run.cpus,
    schedule,
    checks,
  });
}

function checkOf(places: Places, steps: readonly RunStep[]): number {
  const check = new Check();
  for (const { from, accesses } of steps) {
    check.add(from.kind, {});
    for (const { address, kind } of accesses) check.add(kind, places.at(address));
  }
  return check.byte;
}
