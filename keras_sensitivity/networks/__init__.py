"""What is measured, behind one seam: `Network`."""
