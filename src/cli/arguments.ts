// Values of options: from text to numbers with units.
//
// Guarantees: a value that is not what the option takes ends in one line that names the option, the value and what is expected.

import { InvalidArgumentError } from 'commander';
import { type PhysicalAddress, physicalAddress, type VirtualAddress, virtualAddress } from '../units.ts';
import type { Setting } from './variants.ts';

export function vaArgument(text: string): VirtualAddress {
  return checked(text, 'It must be an address of 64 bits like 0x7fff0000.', virtualAddress);
}

function paArgument(text: string): PhysicalAddress {
  return checked(text, 'It must be an address of 52 bits like 0x3090000.', physicalAddress);
}

/** The frame that holds an address. */
export function frameArgument(text: string): PhysicalAddress {
  return physicalAddress(paArgument(text) & ~0xfffn);
}

/** A page-aligned address. */
export function baseArgument(text: string): PhysicalAddress {
  const base = paArgument(text);
  if (base % 4096n !== 0n) throw new InvalidArgumentError('It must be a multiple of 4096.');
  return base;
}

/**
 * The address of the root table in a value of CR3: PCID or flags (bits 0-11), LAM (61, 62) and the no-flush bit (63) go
 * (Intel SDM vol. 3A, 4.5.2, table 4-12).
 */
export function rootArgument(text: string): PhysicalAddress {
  const cr3 = checked(text, 'It must be a value of CR3 like 0x3090000.', virtualAddress);
  return physicalAddress(cr3 & 0x000f_ffff_ffff_f000n);
}

/** A whole number from `least` to `most`. */
export function numberArgument(least: number, most: number): (text: string) => number {
  return (text) => {
    const n = /^\d+$/.test(text) ? Number(text) : Number.NaN;
    if (n >= least && n <= most) return n;
    throw new InvalidArgumentError(`It must be a number from ${least} to ${most}.`);
  };
}

/** A power of two from 1 to `most`. */
export function powerArgument(most: number): (text: string) => number {
  return (text) => {
    const n = /^\d+$/.test(text) ? Number(text) : Number.NaN;
    if (n >= 1 && n <= most && Number.isInteger(Math.log2(n))) return n;
    throw new InvalidArgumentError(`It must be a power of two, at most ${most}.`);
  };
}

/** For an option that may be given several times. */
export function repeated<T>(parse: (text: string) => T): (text: string, before?: readonly T[]) => T[] {
  return (text, before = []) => [...before, parse(text)];
}

/** A parameter and its value. */
export function settingArgument(text: string): Setting {
  const [, name, value] = /^([\w-]+)=([\w*-]+)$/.exec(text) ?? [];
  if (name !== undefined && value !== undefined) return { name, value };
  throw new InvalidArgumentError('It must be a parameter and its value, like machine=swdirty.');
}

/** A time with its unit, in milliseconds: `30s`, `500ms`, `10m`, `1h`. */
export function durationArgument(text: string): number {
  const [, number, unit = ''] = /^(\d+(?:\.\d+)?)(ms|s|m|h)$/.exec(text) ?? [];
  const ms = Number(number) * (UNITS_MS[unit] ?? 0);
  if (ms > 0 && ms <= 31 * 24 * 3_600_000) return ms;
  throw new InvalidArgumentError('It must be a time with its unit, like 30s, 500ms or 10m.');
}

const UNITS_MS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

function checked<T>(text: string, expected: string, parse: (text: string) => T): T {
  try {
    return parse(text);
  } catch {
    throw new InvalidArgumentError(expected);
  }
}
