// The state in which a variant begins, from the `init` block.

import {
  VM_EXEC,
  VM_HUGETLB,
  VM_IO,
  VM_MAYWRITE,
  VM_MIXEDMAP,
  VM_PFNMAP,
  VM_READ,
  VM_SHARED,
  VM_WRITE,
} from '../../assembly/layout.ts';
import type { Declaration, EntryDeclaration, Name, ScenarioFile } from './ast.ts';
import { fold } from './fold.ts';
import { Environment, type Names } from './names.ts';
import type { EntrySpec, FrameSpec, PageSpec, Variant, VmaSpec, World } from './program.ts';

/** Flags of VMAs, by the kernel's names. VM_WRITE brings VM_MAYWRITE with it. */
export const VMA_FLAGS: Readonly<Record<string, number>> = {
  VM_READ,
  VM_WRITE: VM_WRITE | VM_MAYWRITE,
  VM_EXEC,
  VM_SHARED,
  VM_MAYWRITE,
  VM_PFNMAP,
  VM_IO,
  VM_HUGETLB,
  VM_MIXEDMAP,
};

/** Bits of a PTE that a page may begin with. */
export const PTE_FLAGS = ['W', 'A', 'D', 'SD', 'UFFD', 'SPECIAL'] as const;
/** Bits of a TLB entry. */
export const TLB_FLAGS = ['W', 'D'] as const;

/** Where the first page of each mm is, unless it says: the same in all, as in processes of one program. */
const FIRST_PAGE = 0x400000n;
const PAGE_BYTES = 4096n;

export function worldOf(file: ScenarioFile, names: Names, variant: Variant): World {
  const environment = new Environment(names);
  const all = [...chosen(file.init?.declarations ?? [], environment, variant)];
  const of = <K extends Declaration['kind']>(kind: K) =>
    all.filter((declaration): declaration is Extract<Declaration, { kind: K }> => declaration.kind === kind);

  const addresses = addressesOf(of('page'));
  const pages = of('page').map(
    ({ name, mm, entry }): PageSpec => ({
      name: name.text,
      mm: mm.text,
      va: addresses.get(name.text) ?? 0n,
      entry: entrySpec(entry),
    }),
  );
  const cpus = file.programs.map(({ name }) => name.text);
  return {
    machine: variant['machine'] as World['machine'],
    invalidation: variant['invalidation'] as World['invalidation'],
    shootdown: variant['shootdown'] as World['shootdown'],
    memory: variant['memory'] as World['memory'],
    mms: of('mm').map(({ name, splitPtl }) => ({ name: name.text, splitPtl })),
    files: of('file').map(({ name }) => ({ name: name.text })),
    frames: of('frame').map(
      ({ name, value, references, owner }): FrameSpec => ({
        name: name.text,
        value,
        owner: owner?.text,
        references,
      }),
    ),
    vmas: of('vma').map(
      ({ name, mm, file: shown, pgoff, first, last, flags }): VmaSpec => ({
        name: name.text,
        mm: mm.text,
        start: addresses.get(first.text) ?? 0n,
        end: (addresses.get((last ?? first).text) ?? 0n) + PAGE_BYTES,
        flags: flags.reduce((bits, flag) => bits | (VMA_FLAGS[flag.text] ?? 0), 0),
        file: shown?.text,
        pgoff,
      }),
    ),
    pages,
    words: of('word').map(({ name, value }) => ({ name: name.text, value })),
    locks: [
      ...of('spinlock').map(({ name }) => ({ name: name.text, kind: 'spin' as const })),
      ...of('rwsem').map(({ name }) => ({ name: name.text, kind: 'rw' as const })),
    ],
    entries: of('tlb').map(
      ({ cpu, page, flags }): EntrySpec => ({
        cpu: cpus.indexOf(cpu.text),
        page: page.text,
        write: has(flags, 'W'),
        dirty: has(flags, 'D'),
      }),
    ),
  };
}

/** The declarations that the variant has. */
function* chosen(
  declarations: readonly Declaration[],
  environment: Environment,
  variant: Variant,
): Generator<Declaration> {
  for (const declaration of declarations) {
    if (declaration.kind !== 'if') {
      yield declaration;
      continue;
    }
    const known = fold(declaration.condition, environment, variant);
    const holds = known.kind === 'number' && known.value !== 0n;
    yield* chosen((holds ? declaration.then : declaration.otherwise)?.declarations ?? [], environment, variant);
  }
}

/** Pages of an mm follow each other in the order of their declaration, unless they say where they are. */
function addressesOf(pages: readonly Extract<Declaration, { kind: 'page' }>[]): ReadonlyMap<string, bigint> {
  const next = new Map<string, bigint>();
  const found = new Map<string, bigint>();
  for (const { name, mm, va } of pages) {
    const at = va ?? next.get(mm.text) ?? FIRST_PAGE;
    found.set(name.text, at);
    next.set(mm.text, at + PAGE_BYTES);
  }
  return found;
}

function entrySpec(entry: EntryDeclaration): PageSpec['entry'] {
  if (entry.kind !== 'mapped') return entry;
  const { frame, flags } = entry;
  return {
    kind: 'mapped',
    frame: frame.text,
    write: has(flags, 'W'),
    dirty: has(flags, 'D'),
    accessed: has(flags, 'A'),
    softDirty: has(flags, 'SD'),
    uffdWp: has(flags, 'UFFD'),
    special: has(flags, 'SPECIAL'),
  };
}

function has(flags: readonly Name[], flag: string): boolean {
  return flags.some(({ text }) => text === flag);
}
