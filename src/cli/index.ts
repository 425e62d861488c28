#!/usr/bin/env node
// The executable `pagewalk`. The same file runs in the threads that explore and race, which load nothing of the command line.

import { isMainThread } from 'node:worker_threads';

if (isMainThread) await (await import('./main.ts')).main(new URL(import.meta.url));
else (await import('./work.ts')).work();
