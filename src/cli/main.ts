#!/usr/bin/env node
/** The command `secateur`. Everything is in run.node.ts, so that tests can call it without a process of its own. */
import { leaveInterrupted } from './leave.node.ts';
import { main } from './run.node.ts';

const exitCode = await main(process.argv.slice(2));
process.exitCode = exitCode;
if (exitCode === 130) leaveInterrupted();
