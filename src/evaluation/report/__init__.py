"""One self-contained page of several systems: tables, figures, and a player to hear them with.

`python -m evaluation.report` is the program. The page opens from disk: sounds, pictures, style and
script are in it, nothing is fetched.

    sound       signals at equal loudness, encoded
    pictures    spectrograms and difference spectrograms, as small palette pictures
    choice      which utterances are worth hearing
    listening   the listening section's data, utterance by utterance, within a size
    page        templates filled in
"""
