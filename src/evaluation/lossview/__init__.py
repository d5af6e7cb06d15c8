"""Properties of training losses, tried out before days of training are spent on them.

    losses      loss modules of the command line, with the same options as in training
    examples    speech and noise to try them on, with phones where there are some
    probe       value and gradient of a loss under conditions with a known effect
    verdict     findings of the probes as sentences
    cells       weights, shares of the loss and gradient over time and frequency

The programs are ``evaluation.loss_check`` and ``evaluation.loss_spectrum``.
"""
