"""Published datasets: how they come here, how their files lie, and other sizes of them."""
