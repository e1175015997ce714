// The npm packages, which run.sh installs into the build directory.
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import path from 'node:path';

export const sourceRoot = fileURLToPath(new URL('../../..', import.meta.url));
export const buildRoot = path.resolve(process.env.RINGCAST_BUILD ?? path.join(sourceRoot, 'build'));

const load = createRequire(path.join(buildRoot, 'tests/e2e/packages/'));
export const { WebSocket } = load('ws');
export const { chromium } = load('playwright-core');
