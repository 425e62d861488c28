// What the section `workers` and its other threads tell each other: where in their block, and in which words.

export const WORD = { command: 0, state: 1, cpu: 2, va: 4, range: 8, last: 16 };

export const [NONE, USER, CYCLES, QUIT] = [0, 1, 2, 3];
export const [PARKED, RUNNING] = [1, 2];
