"""What a training loss looks at, before days of training are spent on it.

    losses      from the command line to loss modules, by the same words as in training
    examples    speech and noise to try them on, with phones where they are known
    probe       value and gradient of a loss under conditions whose effect is known
    verdict     what the probes say, in words
    cells       weights, shares of the loss and gradient over time and frequency

The programs are `evaluation.loss_check` and `evaluation.loss_spectrum`.
"""
