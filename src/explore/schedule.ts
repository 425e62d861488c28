// Schedules, and the tokens that hold one: which CPU passes how many scheduling points, again and again.
//
// Guarantees: a token says all that repeats an execution of a program, in another process and with another explorer. It says of which
// scenario and variant, and it is strict: it knows whether the program was the same, and of each stretch what kinds of accesses it made
// to what (`check`). A token that lost or changed a character is told from one that does not fit the program.
//
//   "2" base64url( scenario u32, program u24, invariant u8, CPUs u8, stretches, checksum u16 )
//   stretch: varint of ((points × 2 + has choices) × CPUs + CPU), [varint count, varints: the choices], check u8
//   numbers of several bytes are little-endian, varints as in LEB128

import { NO_SYMBOL } from '../../assembly/litmus/ops_bits.ts';
import type { CpuProgram, LitmusProgram } from '../litmus/program.ts';

/** One CPU passes so many scheduling points in a row. */
export interface Stretch {
  readonly cpu: number;
  readonly points: number;
  /** What the environment chose at those of them that are choices, in order. */
  readonly choices: readonly number[];
}

export type Schedule = readonly Stretch[];

/** What a token says. */
export interface TokenContent {
  /** Which scenario and variant: see `scenarioId`. */
  readonly scenario: number;
  /** What the program was: see `programId`. */
  readonly program: number;
  /** Number of the invariant that the schedule violates. */
  readonly invariant: number;
  readonly cpus: number;
  readonly schedule: Schedule;
  /** A byte for each stretch, of what it accessed: see `Check`. */
  readonly checks: readonly number[];
}

/** A text that is no token, or one that was damaged. */
export interface MalformedToken {
  readonly malformed: string;
}

const VERSION = '2';
const HEAD_BYTES = 9;
const CHECKSUM_BYTES = 2;
/** More than any token has; a larger number is a damaged one. */
const MOST = 2 ** 31;

export function encodeToken(content: TokenContent): string {
  const { scenario, program, invariant, cpus, schedule, checks } = content;
  const bytes: number[] = [];
  put(bytes, scenario, 4);
  put(bytes, program, 3);
  bytes.push(invariant, cpus);
  for (const [n, { cpu, points, choices }] of schedule.entries()) {
    putVarint(bytes, (points * 2 + (choices.length > 0 ? 1 : 0)) * cpus + cpu);
    if (choices.length > 0) for (const number of [choices.length, ...choices]) putVarint(bytes, number);
    bytes.push(checks[n] as number);
  }
  put(bytes, checksum(bytes), CHECKSUM_BYTES);
  return VERSION + toBase64Url(bytes);
}

export function decodeToken(token: string): TokenContent | MalformedToken {
  const version = token[0];
  if (version === undefined) return { malformed: 'it is empty' };
  const stranger = [...token].find((letter) => !LETTERS.includes(letter));
  if (stranger !== undefined) return { malformed: `"${stranger}" is no letter of a token` };
  if (version !== VERSION) {
    return { malformed: `its version is "${version}", and this program reads version "${VERSION}"` };
  }
  const bytes = fromBase64Url(token.slice(1));
  if (bytes.length < HEAD_BYTES + CHECKSUM_BYTES) return { malformed: 'it is not complete' };
  const content = bytes.slice(0, -CHECKSUM_BYTES);
  const exact = toBase64Url(bytes) === token.slice(1);
  if (!exact || get(bytes, content.length, CHECKSUM_BYTES) !== checksum(content)) {
    return { malformed: 'its checksum is wrong: a letter was lost or changed' };
  }
  return read(content) ?? { malformed: 'what it says makes no sense' };
}

function read(bytes: readonly number[]): TokenContent | undefined {
  const cpus = bytes[8] as number;
  if (cpus === 0) return undefined;
  const schedule: Stretch[] = [];
  const checks: number[] = [];
  let at = HEAD_BYTES;
  const varint = (): number => {
    let value = 0;
    for (let scale = 1; scale < MOST; scale *= 128) {
      const byte = bytes[at++];
      if (byte === undefined) return Number.NaN;
      value += (byte & 127) * scale;
      if (byte < 128) return value;
    }
    return Number.NaN;
  };
  while (at < bytes.length) {
    const packed = varint();
    const rest = Math.floor(packed / cpus);
    const points = Math.floor(rest / 2);
    const count = rest % 2 === 1 ? varint() : 0;
    if (!(points > 0 && count <= points)) return undefined;
    const choices = Array.from({ length: count }, varint);
    const check = bytes[at++];
    if (check === undefined || choices.some(Number.isNaN)) return undefined;
    schedule.push({ cpu: packed % cpus, points, choices });
    checks.push(check);
  }
  return {
    scenario: get(bytes, 0, 4),
    program: get(bytes, 4, 3),
    invariant: bytes[7] as number,
    cpus,
    schedule,
    checks,
  };
}

// ---- of which program

/** The values of a scenario's parameters, by name. */
type Settings = Readonly<Record<string, string>>;

/**
 * A number for a scenario and variant, whatever the program of that variant is. Its low byte is the name's, so that most scenarios need not be read
 * to know that a token is not theirs; the rest is of both. Among very many variants two may have the same.
 */
export function scenarioId(name: string, variant: Settings): number {
  let state = mix(SEED, name);
  for (const [parameter, value] of inOrder(Object.entries(variant))) state = mix(state, settingText(parameter, value));
  return idOf(name, state);
}

/** Is a number perhaps that of a variant of the scenario of this name? */
export function mayBeOf(name: string, id: number): boolean {
  return (finish(mix(SEED, name)) & 0xff) === (id & 0xff);
}

function idOf(name: string, state: number): number {
  return ((finish(state) & ~0xff) | (finish(mix(SEED, name)) & 0xff)) >>> 0;
}

/** The variants of a scenario with these parameters whose `scenarioId` it is: hardly ever more than one. */
export function variantsWithId(
  name: string,
  parameters: readonly { readonly name: string; readonly values: readonly string[] }[],
  wanted: number,
): readonly Settings[] {
  if (!mayBeOf(name, wanted)) return [];
  const found: Settings[] = [];
  const ordered = inOrder(
    parameters.map(({ name: parameter, values }): [string, readonly string[]] => [parameter, values]),
  );
  const texts = ordered.map(([parameter, values]) => values.map((value) => settingText(parameter, value)));
  const chosen = ordered.map(() => 0);
  // Variants that begin alike share the beginning of their hashes. There are hundreds of thousands of some scenarios: nothing is made for one.
  const visit = (depth: number, state: number) => {
    if (depth === texts.length) {
      if (((finish(state) ^ wanted) & ~0xff) !== 0) return;
      found.push(
        Object.fromEntries(ordered.map(([parameter, values], n) => [parameter, values[chosen[n] as number] as string])),
      );
      return;
    }
    for (const [n, text] of (texts[depth] as readonly string[]).entries()) {
      chosen[depth] = n;
      visit(depth + 1, mix(state, text));
    }
  };
  visit(0, mix(SEED, name));
  return found;
}

function inOrder<T>(entries: readonly [string, T][]): readonly [string, T][] {
  return [...entries].sort(([a], [b]) => (a < b ? -1 : 1));
}

function settingText(parameter: string, value: string): string {
  return `\n${parameter}=${value}`;
}

/** A number of 24 bits for all that decides what a program does: code, world and symbols, not its lines and names of registers. */
export function programId({ world, symbols, cpus, afterwards, invariants, condition }: LitmusProgram): number {
  const codeOf = ({ mode, mm, asid, code, handler }: CpuProgram) => ({
    mode,
    mm,
    asid,
    handler,
    code: code.map(({ op, d = 0, a = 0, b = 0, c = NO_SYMBOL, immediate = 0n }) => [op, d, a, b, c, immediate]),
  });
  const parts = { world, symbols, cpus: cpus.map(codeOf), afterwards: afterwards && codeOf(afterwards) };
  return finish(mix(SEED, canonical({ ...parts, invariants, condition }))) & 0xffffff;
}

/** The same text for equal data: keys in order, what is undefined left out. */
function canonical(data: unknown): string {
  if (Array.isArray(data)) return `[${data.map(canonical).join()}]`;
  if (typeof data === 'object' && data !== null) {
    const entries = Object.entries(data).filter(([, value]) => value !== undefined);
    return `{${entries
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, value]) => `${key}:${canonical(value)}`)
      .join()}}`;
  }
  return typeof data === 'string' ? JSON.stringify(data) : String(data);
}

// ---- what a stretch accessed

/** The check of one stretch, made from its steps. */
export class Check {
  #state = SEED;

  /** Kind of the point of a step, and what it stands for. */
  add(kind: number, place: object): void {
    this.#state = mix(this.#state, `${kind}${canonical(place)}`);
  }

  get byte(): number {
    return finish(this.#state) & 255;
  }
}

/** FNV-1a over UTF-16 code units, of 32 bits: a state, to which `mix` adds a text, and which `finish` stirs (the finaliser of MurmurHash3). */
const SEED = 0x811c9dc5;

function mix(state: number, text: string): number {
  let mixed = state;
  for (let n = 0; n < text.length; n++) mixed = Math.imul(mixed ^ text.charCodeAt(n), 0x01000193);
  return mixed;
}

function finish(state: number): number {
  let h = state;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

// ---- bytes

const LETTERS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';

function put(bytes: number[], value: number, count: number): void {
  for (let n = 0; n < count; n++) bytes.push((value >>> (8 * n)) & 255);
}

function get(bytes: readonly number[], at: number, count: number): number {
  let value = 0;
  for (let n = count - 1; n >= 0; n--) value = value * 256 + (bytes[at + n] as number);
  return value;
}

function putVarint(bytes: number[], value: number): void {
  let rest = value;
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) + 128);
  bytes.push(rest);
}

/** CRC-16/CCITT: whatever is wrong within 16 bits in a row is found, so one letter is, wherever it stands. */
function checksum(bytes: readonly number[]): number {
  let crc = 0xffff;
  for (const byte of bytes) {
    crc ^= byte << 8;
    for (let bit = 0; bit < 8; bit++) crc = ((crc << 1) ^ ((crc & 0x8000) !== 0 ? 0x1021 : 0)) & 0xffff;
  }
  return crc;
}

function toBase64Url(bytes: readonly number[]): string {
  let text = '';
  for (let n = 0; n < bytes.length; n += 3) {
    const group = ((bytes[n] as number) << 16) | ((bytes[n + 1] ?? 0) << 8) | (bytes[n + 2] ?? 0);
    const letters = Math.min(4, bytes.length - n + 1);
    for (let k = 0; k < letters; k++) text += LETTERS[(group >>> (18 - 6 * k)) & 63];
  }
  return text;
}

/** As far as they are complete; `toBase64Url` of the same text or not tells whether they are. */
function fromBase64Url(text: string): number[] {
  const bytes: number[] = [];
  for (let n = 0; n < text.length; n += 4) {
    let group = 0;
    for (let k = 0; k < 4; k++) group = (group << 6) | Math.max(0, LETTERS.indexOf(text[n + k] ?? 'A'));
    const count = Math.min(3, text.length - n - 1);
    for (let k = 0; k < count; k++) bytes.push((group >>> (16 - 8 * k)) & 255);
  }
  return bytes;
}
