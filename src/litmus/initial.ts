// The state in which a variant begins, from the `init` block.

import {
  HW_EVICT,
  HW_NEGATIVE,
  HW_SPECULATE,
  HW_WATCHED,
  PG_ANON_EXCLUSIVE,
  PG_DIRTY,
  PG_KSM,
  PG_SWAPBACKED,
  PG_UPTODATE,
  VM_EXEC,
  VM_HUGETLB,
  VM_IO,
  VM_MAYWRITE,
  VM_MIXEDMAP,
  VM_PFNMAP,
  VM_READ,
  VM_SHARED,
  VM_SOFTDIRTY,
  VM_UFFD_WP,
  VM_WRITE,
  VM_WRITENOTIFY,
} from '../../assembly/layout.ts';
import type { Declaration, EntryDeclaration, FolioDeclaration, Name, ScenarioFile, WordPart } from './ast.ts';
import { fold } from './fold.ts';
import { Environment, type Names } from './names.ts';
import type {
  EntrySpec,
  FrameSpec,
  HardwareSpec,
  MmSpec,
  PageSpec,
  Variant,
  VmaSpec,
  WordSpec,
  World,
} from './program.ts';

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
  VM_UFFD_WP,
  VM_SOFTDIRTY,
  VM_WRITENOTIFY,
};

/** Bits of a PTE that a page may begin with. */
export const PTE_FLAGS = ['W', 'A', 'D', 'SD', 'UFFD', 'SPECIAL'] as const;
/** What the mm knows of a folio, beside that it is up to date and, of an anonymous one, may be swapped. */
export const FOLIO_FLAGS: Readonly<Record<string, number>> = {
  PG_dirty: PG_DIRTY,
  PG_anon_exclusive: PG_ANON_EXCLUSIVE,
  PG_ksm: PG_KSM,
};
/** What hardware does unasked: evicts, speculates, caches what is absent; and a paging-structure cache. */
export const HARDWARE_FLAGS: Readonly<Record<string, number>> = {
  EVICT: HW_EVICT,
  SPECULATE: HW_SPECULATE,
  NEGATIVE: HW_NEGATIVE,
  PWC: HW_WATCHED,
};
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
  const hardware = of('hardware').map(
    ({ cpu, page, flags }): HardwareSpec => ({
      cpu: cpus.indexOf(cpu.text),
      flags: flags.reduce((bits, flag) => bits | (HARDWARE_FLAGS[flag.text] ?? 0), 0),
      structures: has(flags, 'PWC'),
      page: page?.text,
    }),
  );
  return {
    machine: variant['machine'] as World['machine'],
    invalidation: variant['invalidation'] as World['invalidation'],
    shootdown: variant['shootdown'] as World['shootdown'],
    memory: variant['memory'] as World['memory'],
    mms: of('mm').map(mmSpec),
    files: of('file').map(({ name, driver }) => ({
      name: name.text,
      ...(driver && { driver: { frame: driver.frame?.text } }),
    })),
    frames: of('frame').map(
      ({ name, value, references, owner, folio, flags }): FrameSpec => ({
        name: name.text,
        value,
        owner: owner?.text,
        references: references ?? (folio === undefined ? 1 : 0),
        ...(folio && { folio: folioSpec(folio, flags) }),
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
    words: of('word').map(({ name, value, part }) => ({
      name: name.text,
      value,
      ...(part && { part: partSpec(part) }),
    })),
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
    ...(hardware.length > 0 && { hardware }),
    ...(of('frame').some(({ folio }) => folio !== undefined) && { pageWords: wordsOf(file) }),
  };
}

/** The words of pages and frames that the file names, and those before them. */
function wordsOf(tree: unknown): number {
  if (typeof tree !== 'object' || tree === null) return 1;
  const own = 'kind' in tree && tree.kind === 'word' && 'base' in tree && 'index' in tree ? Number(tree.index) + 1 : 1;
  return Object.values(tree).reduce<number>((most, each) => Math.max(most, wordsOf(each)), own);
}

function mmSpec({ name, options }: Declaration & { kind: 'mm' }): MmSpec {
  const deferred = options.includes('deferred-early') ? 'early' : options.includes('deferred') ? 'late' : undefined;
  return { name: name.text, splitPtl: options.includes('split-ptl'), ...(deferred && { deferred }) };
}

function folioSpec(folio: FolioDeclaration, flags: readonly Name[]): NonNullable<FrameSpec['folio']> {
  const bits = flags.reduce((set, flag) => set | (FOLIO_FLAGS[flag.text] ?? 0), 0);
  if (folio.kind === 'cached') return { file: folio.file.text, index: Number(folio.index), flags: bits | PG_UPTODATE };
  return { file: undefined, index: 0, flags: bits | PG_UPTODATE | PG_SWAPBACKED };
}

function partSpec(part: WordPart): NonNullable<WordSpec['part']> {
  if (part.of === 'swap') return { of: 'swap', index: Number(part.index) };
  if (part.of === 'record') return { of: 'record', file: part.file.text };
  return { of: part.of, file: part.file.text, index: Number(part.index) };
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
