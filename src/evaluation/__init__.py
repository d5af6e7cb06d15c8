"""Programs over experiments: enhance a test set, judge it, draw and tabulate what came out.

python -m evaluation.infer --experiment_tag TAG --manifest MANIFEST      checkpoint -> audio
python -m evaluation.utt_eval --experiment_tag TAG                       audio -> metrics
python -m evaluation.ph_eval --experiment_tag TAG                        audio -> metrics by phone
python -m evaluation.recognise --experiment_tag TAG                      audio -> error rates
python -m evaluation.compare TAG TAG ...                                 metrics -> differences
python -m evaluation.enhance --checkpoint FILE in.wav -o out.wav         any file -> enhanced file
python -m evaluation.table TAG TAG ...                                   metrics -> one table
python -m evaluation.compare_figure TAG TAG ... --sample ID -o FILE      audio and history -> one
figure
"""
