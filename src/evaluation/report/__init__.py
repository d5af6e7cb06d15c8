"""One self-contained page of several systems: tables, plots and an audio player.

`python -m evaluation.report` is the program. The page opens from disk: sounds, pictures, style and
script are in it, nothing is fetched.

    sound       signals at equal loudness, encoded
    pictures    spectrograms and difference spectrograms, as small palette pictures
    choice      choice of the utterances for the player
    listening   data of the player, utterance by utterance
    page        templates filled in
"""
