"""Programs over experiments: enhance a test set, score it, plot and tabulate the results.

python -m evaluation.infer --experiment_tag TAG --manifest MANIFEST      checkpoint -> audio
python -m evaluation.utt_eval --experiment_tag TAG                       audio -> metrics
python -m evaluation.ph_retrieve --experiment_tag TAG                    audio -> where phones are
python -m evaluation.ph_eval --experiment_tag TAG                        audio -> metrics by phone
python -m evaluation.recognise --experiment_tag TAG                      audio -> error rates
python -m evaluation.compare TAG TAG ...                                 metrics -> differences
python -m evaluation.enhance --checkpoint FILE in.wav -o out.wav         any file -> enhanced file
python -m evaluation.report TAG TAG ...                                  all of it -> one page
python -m evaluation.listening_results KEY ANSWERS ...                   blind test -> ratings
python -m evaluation.spectra TAG TAG ...                                 audio -> average spectra
python -m evaluation.loss_check --loss LOSS                              what a loss sees
python -m evaluation.loss_spectrum --loss LOSS                           where a loss pushes
python -m evaluation.table TAG TAG ...                                   metrics -> one table
python -m evaluation.compare_figure TAG TAG ... --sample ID -o FILE      audio and history -> one
figure
"""

import seloss  # noqa: F401 - refuses an installation that other packages have damaged
