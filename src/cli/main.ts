#!/usr/bin/env node
/** The command `secateur`. Everything is in run.node.ts, so that tests can call it without a process of its own. */
import { main } from './run.node.ts';

const exitCode = await main(process.argv.slice(2));
process.exitCode = exitCode;
// a worker in the middle of a long run would hold an interrupted process for that long
if (exitCode === 130) process.exit();
