// Words for what stands in the explored machine: places (`PTE x`, `ptl(x)`) and values (`P W A D`, `free`).

import type { Place, State, TlbValue, Trace, Value } from '../explore/index.ts';

/** How a scenario's things are told apart. */
export interface Naming {
  /** Names of the CPUs. */
  readonly cpus: readonly string[];
  /** Frames are told where there are several. */
  readonly frames: boolean;
  /** And ASIDs. */
  readonly asids: boolean;
}

export function namingOf({ program, columns }: Trace): Naming {
  const { world, cpus } = program;
  return {
    cpus: columns.map(({ name }) => name),
    frames: world.frames.length > 1,
    asids: new Set(cpus.filter(({ mm }) => mm !== undefined).map(({ asid }) => asid)).size > 1,
  };
}

export function placeText(place: Place, { cpus }: Naming): string {
  const cpu = (n: number) => cpus[n] ?? `CPU ${n}`;
  switch (place.of) {
    case 'page':
      if (place.field === 'pte') return `PTE ${place.name}`;
      return place.field === 'ptl' ? `ptl(${place.name})` : `${place.name}.${place.field}`;
    case 'table':
      return `${LEVELS[place.level] ?? 'entry'} of ${place.name}`;
    case 'word':
    case 'lock':
      return place.name;
    case 'mm':
    case 'file':
    case 'vma':
      return `${place.name}.${place.field}`;
    case 'frame':
      if (place.field === 'state') return `frame ${place.name}`;
      if (place.field !== 'data') return `${place.name}.${place.field}`;
      return place.index === 0 ? place.name : `${place.name}[${place.index}]`;
    case 'cpu':
      return `${cpu(place.cpu)}.${place.field}`;
    case 'request':
      return `request of ${cpu(place.sender)} to ${cpu(place.cpu)}`;
    case 'tlb':
      return `${cpu(place.cpu)} TLB`;
    case 'buffer':
      return `${cpu(place.cpu)} buffer.${place.field}`;
    case 'agent':
      return `${cpu(place.cpu)} ${place.field}`;
    case 'kernel':
      return place.field;
  }
}

const LEVELS = ['PTE', 'PDE', 'PDPTE', 'PML4E', 'PML5E'];

export function valueText(value: Value, naming: Naming): string {
  switch (value.kind) {
    case 'number':
      return value.value < 1_000_000n ? String(value.value) : `0x${value.value.toString(16)}`;
    case 'frame':
      return value.state;
    case 'pte':
      return pteText(value, naming);
    case 'tlb':
      return `tlb{${value.entries.map((entry) => entryText(entry, naming)).join(', ')}}`;
    case 'lock':
      return lockText(value, naming);
  }
}

/** `PTE x: P W D → P`, `P0 tlb{x W}`. */
export function changeText(place: Place, before: Value, after: Value, naming: Naming): string {
  if (place.of === 'tlb') return stateText({ place, value: after }, naming);
  return `${placeText(place, naming)}: ${valueText(before, naming)} → ${valueText(after, naming)}`;
}

/** `PTE x: P W`, `bit = 0`, `P0 tlb{x W}`. */
export function stateText({ place, value }: State, naming: Naming): string {
  const text = valueText(value, naming);
  if (place.of === 'tlb') return `${naming.cpus[place.cpu]} ${text}`;
  return `${placeText(place, naming)}${value.kind === 'number' ? ' =' : ':'} ${text}`;
}

function pteText({ entry }: Extract<Value, { kind: 'pte' }>, { frames }: Naming): string {
  switch (entry.kind) {
    case 'none':
      return 'none';
    case 'mapped':
      return `${entry.bits.join(' ')}${frames ? ` (${entry.frame})` : ''}`;
    case 'swap':
      return `swap ${entry.type}:${entry.offset}`;
    case 'migration':
      return `migration (${entry.frame})`;
  }
}

function entryText({ page, asid, bits, frame }: TlbValue, { frames, asids }: Naming): string {
  return `${page}${asids ? `@${asid}` : ''}${bits.map((bit) => ` ${bit}`).join('')}${frames ? ` (${frame})` : ''}`;
}

function lockText({ writer, readers, queue }: Extract<Value, { kind: 'lock' }>, { cpus }: Naming): string {
  const names = (list: readonly number[]) => list.map((n) => cpus[n] ?? `CPU ${n}`).join(' ');
  const held = writer !== undefined ? names([writer]) : readers.length > 0 ? `read by ${names(readers)}` : 'free';
  return queue.length === 0 ? held : `${held}, ${names(queue)} waits`;
}
