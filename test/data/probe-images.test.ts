import { expect, it } from 'vitest';
import { imageAt } from '../../src/data/make.ts';
import { probeImages } from '../../src/data/probe-images.ts';

const SHAPE = { channels: 3, height: 12, width: 20 };

it('makes noise and soft blobs by turns, the same for the same seed', () => {
  const data = probeImages(SHAPE, 6, 4);
  expect([data.count, data.channels, data.height, data.width, data.classes]).toEqual([6, 3, 12, 20, ['picture']]);
  expect(probeImages(SHAPE, 6, 4).sha256).toBe(data.sha256);
  expect(probeImages(SHAPE, 6, 5).sha256).not.toBe(data.sha256);
  expect([...probeImages(SHAPE, 3, 4).pixels]).toEqual([...data.pixels.subarray(0, 3 * 720)]);
  const [noise, blobs] = [0, 1].map((i) => {
    const image = imageAt(data, i);
    let steps = 0;
    for (let at = 0; at < image.length; at++) if (at % 20 > 0) steps += Math.abs(image[at] - image[at - 1]);
    return steps / image.length;
  });
  expect(noise).toBeGreaterThan(3 * blobs);
  for (let i = 0; i < 6; i++) expect(Math.max(...imageAt(data, i)) - Math.min(...imageAt(data, i))).toBeGreaterThan(40);
});

it('takes pictures of one pixel', () => {
  expect(probeImages({ channels: 1, height: 1, width: 1 }, 2).pixels).toHaveLength(2);
});
