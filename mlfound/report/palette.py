"""The colours of every picture: Okabe and Ito's, which the colour-blind can tell apart."""

BLUE, ORANGE, GREEN, PINK, YELLOW, SKY = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9"
INK, GREY, PALE = "#222222", "#6E6E6E", "#E4E4E4"
COLOURS = (BLUE, ORANGE, GREEN, PINK, YELLOW, SKY, INK, GREY)
DASHES = ("-", (0, (4, 4)), (0, (1, 3)))  # lines that lie on one another stay visible
