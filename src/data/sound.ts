/** What a data set keeps of the sound its images are pictures of, so that a trigger in the sound can be heard and seen. */

/** How a recording becomes a picture (`spectrogram.ts`); height, width and channels are those of the data set. */
export interface SpectrogramView {
  /** Spacing of the rows: the mel scale, or Hz. */
  readonly scale: 'mel' | 'linear';
  /** Length of the window, seconds. */
  readonly window: number;
  /** Lowest and highest frequency, Hz. */
  readonly low: number;
  readonly high: number;
  /** dB below the loudest cell of the picture that are drawn as 0. */
  readonly range: number;
  /** Seconds that the columns cover, or `word`: from where the word begins to where it ends. */
  readonly span: number | 'word';
}

/** The recordings behind the images of a data set, in the same order. */
export interface Sound {
  /** Samples per second, of all recordings. */
  readonly rate: number;
  /** 16-bit samples, one channel. `[N]` arrays of any length */
  readonly recordings: readonly Int16Array[];
  readonly view: SpectrogramView;
}

/** The recordings at `indices`, in that order; not copied, as nobody changes them. */
export function gatherSound(sound: Sound, indices: ArrayLike<number>): Sound {
  return { ...sound, recordings: Array.from(indices, (i) => sound.recordings[i]) };
}
