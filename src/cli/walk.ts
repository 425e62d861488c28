// `pagewalk walk`: what the page tables in an image map.
//
// Guarantees: the image is read page by page, and of a listing only a block of text is held. What cannot be followed is
// listed as a hole, and the rest after it.

import { Command, Option } from 'commander';
import { IMAGE_KINDS, type Image, type ImageKind, openImage } from '../image/index.ts';
import { type AddressSpace, FORMATS, type FormatName, type ListOptions, PhysicalMemory } from '../machine/index.ts';
import { explanationJson, explanationText } from '../report/explanation.ts';
import { frameHead, frameUnmapped, jsonLine, tableHead, tableLine } from '../report/mappings.ts';
import { Summary } from '../report/summary.ts';
import { count } from '../report/words.ts';
import { hex, type PhysicalAddress, type VirtualAddress } from '../units.ts';
import { baseArgument, frameArgument, numberArgument, repeated, rootArgument, vaArgument } from './arguments.ts';
import { complain, EXIT_INPUT, EXIT_INTERRUPTED } from './exit.ts';
import { Output } from './output.ts';
import { Progress } from './progress.ts';

interface WalkOptions {
  readonly root: PhysicalAddress;
  readonly format: FormatName;
  readonly fold: boolean;
  readonly va?: readonly VirtualAddress[];
  readonly pa?: readonly PhysicalAddress[];
  readonly from?: VirtualAddress;
  readonly to?: VirtualAddress;
  readonly limit?: number;
  readonly followLoops?: true;
  readonly physicalBits: number;
  readonly nx: boolean;
  readonly type?: ImageKind;
  readonly base?: PhysicalAddress;
  readonly json?: true;
}

/** More tables than this do not fit in a memory of the core. */
const MOST_TABLES = 900_000;
/** Less than 64 MiB of them, and there is no use in trying. */
const FEWEST_TABLES = 16_384;
const MOST_COMPLAINTS = 5;

export function walkCommand(): Command {
  return new Command('walk')
    .description('List what the page tables in an image of physical memory map, or explain single addresses.')
    .helpOption('--help', 'print this help')
    .argument('<image>', 'raw physical memory, or a page-table capture PTPG0001, also .gz')
    .addOption(
      new Option('--root <address>', 'physical address of the root table: CR3, flags and PCID included')
        .argParser(rootArgument)
        .makeOptionMandatory(),
    )
    .addOption(
      new Option('--format <name>', 'page-table format').choices(Object.keys(FORMATS)).default('x86-64' as FormatName),
    )
    .option('--no-fold', 'list every page instead of runs of pages')
    .addOption(
      new Option('--va <address>', 'explain the translation of a virtual address level by level; repeatable')
        .argParser(repeated(vaArgument))
        .conflicts(['from', 'to', 'limit']),
    )
    .addOption(
      new Option('--pa <address>', 'list only who maps the frame at a physical address; repeatable').argParser(
        repeated(frameArgument),
      ),
    )
    .option('--from <address>', 'first virtual address to list', vaArgument)
    .option('--to <address>', 'last virtual address to list', vaArgument)
    .option('--limit <count>', 'stop after so many mappings', numberArgument(1, Number.MAX_SAFE_INTEGER))
    .option('--follow-loops', 'walk into tables that are their own ancestors (recursive mappings)')
    .option('--physical-bits <count>', 'address bits above are reserved (MAXPHYADDR)', numberArgument(32, 52), 52)
    .option('--no-nx', 'EFER.NXE is off: bit 63 of an entry is reserved')
    .addOption(new Option('--type <kind>', 'kind of image (default: seen from its first bytes)').choices(IMAGE_KINDS))
    .option('--base <address>', 'physical address of the first byte of a raw image (default: 0)', baseArgument)
    .option('--json', 'one JSON object a line')
    .addHelpText('after', HELP)
    .action(walk);
}

async function walk(path: string, options: WalkOptions): Promise<void> {
  if ((options.from ?? 0n) > (options.to ?? ~0n & 0xffff_ffff_ffff_ffffn)) {
    throw new RangeError(`--from ${hex(options.from ?? 0n)} lies after --to ${hex(options.to ?? 0n)}`);
  }
  const { type, base } = options;
  const image = await openImage(path, { ...(type && { kind: type }), ...(base !== undefined && { base }) });
  try {
    complainOf(image);
    if (image.page(options.root) === undefined) throw new RangeError(rootOutside(image, options.root));
    await answer(image, options);
  } finally {
    await image.close();
  }
}

async function answer(image: Image, options: WalkOptions): Promise<void> {
  const { format, root, physicalBits, nx, va, pa } = options;
  const memory = await memoryFor(image.pages);
  const space = memory.openAddressSpace({ format, root, regime: { physicalBits, nxe: nx } });
  const output = new Output(process.stdout);
  try {
    explainAll(space, image, options, output);
    if (va === undefined || pa !== undefined) await list(space, image, options, output);
  } finally {
    await output.end();
  }
  if (output.interrupted) process.exit(EXIT_INTERRUPTED);
}

/** Room for every page of the image, or as much as the process may have: only tables are put there. */
async function memoryFor(imagePages: number): Promise<PhysicalMemory> {
  let pages = Math.min(imagePages, MOST_TABLES);
  for (;;) {
    try {
      return await PhysicalMemory.createSparse({ pages, shared: false });
    } catch (error) {
      if (!(error instanceof RangeError) || pages <= FEWEST_TABLES) throw error;
      pages = Math.max(FEWEST_TABLES, pages >> 1);
    }
  }
}

function complainOf({ name, problems }: Image): void {
  for (const problem of problems.slice(0, MOST_COMPLAINTS)) complain(problem);
  if (problems.length > MOST_COMPLAINTS) complain(`${name}: ${problems.length - MOST_COMPLAINTS} more problems`);
  if (problems.length > 0) process.exitCode = EXIT_INPUT;
}

function rootOutside(image: Image, root: PhysicalAddress): string {
  const held = `${count(image.pages)} pages`;
  return `--root ${hex(root)} is not in ${image.name}, which holds ${held}`;
}

function explainAll(space: AddressSpace, image: Image, options: WalkOptions, output: Output): void {
  for (const va of options.va ?? []) {
    const explanation = space.explain(va, undefined, (table) => image.page(table));
    if (options.json) output.line(explanationJson(space.format, va, explanation));
    else for (const line of explanationText(space.format, space.root, va, explanation)) output.line(line);
  }
}

async function list(space: AddressSpace, image: Image, options: WalkOptions, output: Output): Promise<void> {
  const { json, pa, limit = Number.POSITIVE_INFINITY } = options;
  const summary = new Summary();
  const progress = new Progress();
  const start = performance.now();
  const waitedBefore = output.waitedMs;
  let limited = false;
  for (const frame of pa ?? [undefined]) {
    const before = summary.mappings;
    if (!json && frame === undefined) output.line(tableHead());
    for (const record of space.mappingsWithProgress(listOptions(image, options, frame))) {
      if (record.kind === 'progress') {
        progress.show(() => `${count(summary.mappings)} mappings, at ${hex(record.va)}`);
        if (output.late) await output.turn();
        if (output.interrupted) break;
        continue;
      }
      if (record.kind === 'mapping') {
        limited = summary.mappings >= limit;
        if (limited) break;
        if (!json && frame !== undefined && summary.mappings === before) output.line(frameHead(frame));
      } else if (frame !== undefined) {
        // Holes belong to the tables and not to the frame: counted, once.
        if (frame === pa?.[0]) summary.add(record);
        continue;
      }
      summary.add(record);
      output.line(json ? jsonLine(record) : tableLine(space.format, record, frame));
      if (output.due) {
        progress.show(() => `${count(summary.mappings)} mappings, at ${hex(record.va)}`);
        await output.turn();
        if (output.interrupted) break;
      }
    }
    if (limited || output.interrupted) break;
    if (!json && frame !== undefined && summary.mappings === before) output.line(frameUnmapped(frame));
  }
  progress.clear();
  summary.seconds = (performance.now() - start - (output.waitedMs - waitedBefore)) / 1000;
  const stopped = output.interrupted ? 'interrupted' : limited ? `stopped by --limit ${limit}` : '';
  const noun = options.fold && pa === undefined ? 'range' : 'mapping';
  output.line(json ? summary.json(output.interrupted) : summary.text(space.format, noun, stopped));
}

/** Of everything, or of one frame. */
function listOptions(image: Image, options: WalkOptions, frame: PhysicalAddress | undefined): ListOptions {
  const { from, to, fold, followLoops = false } = options;
  const all: ListOptions = {
    ...(from !== undefined && { from }),
    ...(to !== undefined && { to }),
    fold,
    followLoops,
    fetch: (table) => image.page(table),
  };
  return frame === undefined ? all : { ...all, fold: false, pa: { first: frame, last: frame + 0xfffn } };
}

const HELP = `
A line of the table: virtual addresses, physical address, size, rights that all
levels together leave (r w x u), pages, further bits that are set in the entry.
A and D are shown for single pages only: in a run they may differ.

With --json a line is {"va","pa","size","perm","entry"}; what could not be
followed is {"hole","va","size","table","entry"}; the last line is
{"mappings","bytes","holes","seconds"}. --va gives the page's line with "levels"
added, or {"va","fault","level","levels"}. With --pa holes are only counted.

Of a truncated image what is there is listed, with a complaint and exit code 2.
A compressed raw image must be decompressed first; a pipe is read as a whole:
  zstd -dc capture.ptpg.zst | pagewalk walk /dev/stdin --root 0x3090000

Examples:
  pagewalk walk memory.raw --root 0x3090000
  pagewalk walk memory.raw --root 0x3090000 --json --no-fold > pages.jsonl
  pagewalk walk tables.ptpg.gz --root 0x2c66000 --format x86-64-la57
  pagewalk walk memory.raw --root 0x3090000 --va 0x401000 --va 0xffffffff81000000
  pagewalk walk memory.raw --root 0x3090000 --pa 0x78f3000`;
