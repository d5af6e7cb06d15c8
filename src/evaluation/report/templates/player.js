"use strict";

// Plays several signals of one utterance at once and lets one of them through, so that switching
// keeps the position to the sample.
class Player {
  constructor() {
    this.context = null;
    this.buffers = new Map(); // name -> AudioBuffer
    this.gains = new Map(); // name -> GainNode, while playing
    this.sources = [];
    this.selected = null;
    this.offset = 0; // position in s when not playing, or where playing began
    this.startedAt = null; // the context's time when playing began; null: not playing
    this.region = null; // [start, end] in s that is repeated, or null
    this.ended = () => {};
  }

  // Replace the signals; sounds: {name: base64 of an audio file}.
  async load(sounds) {
    this.stop();
    this.context ??= new AudioContext();
    const decoded = await Promise.all(
      Object.entries(sounds).map(async ([name, text]) => {
        const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
        return [name, await this.context.decodeAudioData(bytes.buffer)];
      }),
    );
    this.buffers = new Map(decoded);
    this.offset = 0;
    if (!this.buffers.has(this.selected)) this.selected = decoded[0][0];
  }

  get playing() {
    return this.startedAt !== null;
  }

  get duration() {
    return Math.max(0, ...[...this.buffers.values()].map((buffer) => buffer.duration));
  }

  get position() {
    if (!this.playing) return this.offset;
    const elapsed = this.context.currentTime - this.startedAt;
    if (!this.region) return Math.min(this.offset + elapsed, this.duration);
    const [start, end] = this.region;
    const since = this.offset - start + elapsed;
    return start + (since % (end - start));
  }

  play() {
    if (this.playing || !this.buffers.size) return;
    this.context.resume();
    if (this.region) {
      const [start, end] = this.region;
      if (this.offset < start || this.offset >= end) this.offset = start;
    } else if (this.offset >= this.duration - 0.01) this.offset = 0;
    const when = this.context.currentTime + 0.02;
    for (const [name, buffer] of this.buffers) {
      const source = new AudioBufferSourceNode(this.context, { buffer });
      if (this.region) {
        [source.loopStart, source.loopEnd] = this.region;
        source.loop = true;
      }
      const gain = new GainNode(this.context, { gain: name === this.selected ? 1 : 0 });
      source.connect(gain).connect(this.context.destination);
      source.start(when, this.offset);
      this.sources.push(source);
      this.gains.set(name, gain);
    }
    this.startedAt = when;
    const longest = [...this.buffers].reduce((a, b) => (b[1].duration > a[1].duration ? b : a));
    const last = this.sources[[...this.buffers.keys()].indexOf(longest[0])];
    last.onended = () => {
      if (!this.playing || !this.sources.includes(last)) return; // paused or moved, not ended
      this.stop();
      this.offset = 0;
      this.ended();
    };
  }

  stop() {
    const position = this.position;
    for (const source of this.sources) {
      source.onended = null;
      source.stop();
      source.disconnect();
    }
    this.sources = [];
    this.gains.clear();
    this.startedAt = null;
    this.offset = position;
  }

  toggle() {
    if (this.playing) this.stop();
    else this.play();
  }

  seek(time) {
    const wasPlaying = this.playing;
    this.stop();
    this.offset = Math.min(Math.max(time, 0), this.duration);
    if (wasPlaying) this.play();
  }

  // Let one signal through; the ramp of some ms avoids a click.
  select(name) {
    if (!this.buffers.has(name)) return;
    this.selected = name;
    for (const [other, gain] of this.gains) {
      gain.gain.setTargetAtTime(other === name ? 1 : 0, this.context.currentTime, 0.005);
    }
  }

  repeat(region) {
    const wasPlaying = this.playing;
    this.stop();
    this.region = region;
    if (wasPlaying) this.play();
  }
}
